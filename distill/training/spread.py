"""Mean and spread of a number that comes step by step, in three numbers that a checkpoint holds."""

import math
from collections.abc import Mapping
from typing import Any


class Spread:
    """How much a number varies, without keeping it.

    Formula: variation = √(Σ (x_i − x̄)² / (n − 1)) / x̄, the coefficient of variation
    Source: Welford (1962). Note on a method for calculating corrected sums of squares and products. Technometrics 4
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        before = value - self.mean
        self.mean += before / self.count
        self.squares += before * (value - self.mean)

    @property
    def variation(self) -> float | None:
        """Standard deviation over mean, without a unit; None where fewer than two came or the mean is 0."""
        if self.count < 2 or self.mean == 0:
            return None
        return math.sqrt(self.squares / (self.count - 1)) / self.mean

    def state(self) -> dict[str, Any]:
        return dict(vars(self))

    def restore(self, state: Mapping[str, Any]) -> None:
        self.count, self.mean, self.squares = state["count"], state["mean"], state["squares"]
