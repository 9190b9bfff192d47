"""How a sweep treats its runs: when one is done, when one is tried again, when all of it is given up."""

from typing import Literal

from distill.ranges import Natural, NonNegative
from distill.sweeps.goal import Goal
from distill.sweeps.outcome import Brake
from distill.sweeps.sweeper import Sweeper
from distill.sweeps.task import Patience


class Grid(Sweeper):
    """Every combination of the values on the command line, once.

    Args:
        metric: the objective metric: a run without a finite one is failed. null: exit code 0 suffices.
        subject, split: whose metric, on which text.
        better: which direction is better.
        retries: how often a failure that may pass by itself (network, memory) is tried again.
        backoff: seconds before the first retry; doubled for each further one.
        grace: seconds a run has to checkpoint when it is asked to end.
        brake: equal failures in a row after which no further run is started; 0: never.
    """

    def __init__(
        self,
        metric: str | None = "bits_per_byte",
        subject: str = "student",
        split: str = "test",
        better: Literal["lower", "higher"] = "lower",
        retries: Natural = 2,
        backoff: NonNegative = 10.0,
        grace: NonNegative = 30.0,
        brake: Natural = 3,
    ) -> None:
        self.goal = None if metric is None else Goal(metric, subject, split, better)
        self.patience = Patience(retries, backoff, grace)
        self.brake = Brake(brake)
