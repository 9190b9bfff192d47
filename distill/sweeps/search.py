"""A search instead of a grid: Optuna proposes the values, the sweep's own machinery executes the runs.

Optuna 5 is asked and told; nothing of ours runs inside it, so a run that dies takes no study with it. Runs are proposed
in rounds of as many as the launcher executes at a time: simple, and a place waits for the slowest of its round. Left
out on purpose: hydra-optuna-sweeper, which pins Optuna 2.
"""

from typing import Literal

from distill.ranges import Count, Natural, NonNegative
from distill.sweeps.goal import Goal
from distill.sweeps.outcome import Brake
from distill.sweeps.sweeper import Sweeper
from distill.sweeps.task import Patience

Direction = Literal["lower", "higher"]


class Search(Sweeper):
    """Optuna proposes values of the swept keys: lists, ``range(…)``, ``interval(…)`` and ``tag(log, interval(…))``.

    Source: Akiba et al. 2019, Optuna, https://arxiv.org/abs/1907.10902; Bergstra et al. 2011, TPE,
        https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization.

    Args:
        trials: how many are proposed in all, those of earlier drives of this folder among them.
        metric: the number searched for.
        subject, split: whose, on which text. The test text is for reporting: search on validation if you report both.
        better: which direction is better.
        also: further objectives of the same subject, with their direction ({parameters: lower}); then the result is a
            Pareto front.
        sampler: who proposes.
        seed: of the sampler.
        pruner: stops a run early whose validation loss is worse than the median of the others' at that step
            (``median``), or not among the better half of its rung (``halving``); for one objective.
        warmup: optimiser steps that no run is stopped before.
        retries, backoff, grace, brake: as a grid has them.
    """

    def __init__(
        self,
        trials: Count = 20,
        metric: str = "bits_per_byte",
        subject: str = "student",
        split: str = "test",
        better: Direction = "lower",
        also: dict[str, Direction] | None = None,
        sampler: Literal["tpe", "random", "nsga2"] = "tpe",
        seed: Natural = 0,
        pruner: Literal["none", "median", "halving"] = "none",
        warmup: Natural = 0,
        retries: Natural = 2,
        backoff: NonNegative = 10.0,
        grace: NonNegative = 30.0,
        brake: Natural = 3,
    ) -> None:
        self.trials, self.sampler, self.seed, self.pruner, self.warmup = trials, sampler, seed, pruner, warmup
        self.goal = Goal(metric, subject, split, better)
        self.goals = [self.goal, *(Goal(name, subject, split, way) for name, way in (also or {}).items())]
        self.patience = Patience(retries, backoff, grace)
        self.brake = Brake(brake)
