"""What every sweeper says: when a run is done, when it is tried again, when all of it is given up."""

from abc import ABC

from distill.sweeps.goal import Goal
from distill.sweeps.outcome import Brake
from distill.sweeps.task import Patience


class Sweeper(ABC):
    """How a sweep treats its runs.

    Attributes:
        goal: the number without which a run is not done; None: exit code 0 suffices.
        patience: retries, backoff, grace.
        brake: equal failures in a row after which no further run is started.
    """

    goal: Goal | None
    patience: Patience
    brake: Brake
