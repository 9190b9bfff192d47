"""Means over seeds, their 95 % intervals, and paired differences.

    mean ± t(0.975, n-1) * s / sqrt(n),    s the sample standard deviation of n runs that share all but the seed

Source: Student, "The probable error of a mean" (1908). Left out on purpose: bootstrap intervals over text, which a
measure computes where it has the text and writes into its row as ``low`` and ``high``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from distill.rows import Row

_T975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_Z975 = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A number and how far it can be trusted.

    Attributes:
        value: of one run, or the mean over ``seeds`` runs; NaN means measured and undefined.
        low, high: a 95 % interval, or None where nothing tells one.
        seeds: how many runs stand behind it.
        basis: where the interval comes from: ``seeds``, ``row``, ``rows`` (two rows' intervals combined), or empty.
    """

    value: float
    low: float | None = None
    high: float | None = None
    seeds: int = 1
    basis: str = ""

    @property
    def defined(self) -> bool:
        return math.isfinite(self.value)

    @property
    def half(self) -> float | None:
        """Half the width of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def sign(self) -> int:
        """1 or -1 where the interval (or, without one, the value) lies on one side of zero; else 0."""
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        return 1 if low > 0 else -1 if high < 0 else 0

    def __neg__(self) -> "Estimate":
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return Estimate(-self.value, low, high, self.seeds, self.basis)


def student_t(freedom: int) -> float:
    """The 0.975 quantile of Student's t: a table up to 30 degrees of freedom, then the first terms of its expansion
    in 1/freedom (Abramowitz and Stegun 26.7.5), right to 1e-3."""
    if freedom <= len(_T975):
        return _T975[freedom - 1]
    z = _Z975
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def over_seeds(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval of one number from several runs; one undefined value makes the mean undefined."""
    if not all(math.isfinite(value) for value in values):
        return Estimate(math.nan, seeds=len(values))
    mean, count = fmean(values), len(values)
    if count < 2:
        return Estimate(mean)
    half = student_t(count - 1) * stdev(values) / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half, count, "seeds")


def of_rows(rows: Sequence[Row]) -> Estimate:
    """One row with its own interval, or the mean over the rows of several seeds."""
    if len(rows) == 1:
        row = rows[0]
        basis = "row" if row.low is not None and row.high is not None else ""
        return Estimate(row.value, row.low, row.high, 1, basis)
    return over_seeds([row.value for row in rows])


def paired(pairs: Sequence[tuple[Row, Row]]) -> Estimate:
    """first − second, run by run. Over seeds the spread of the differences gives the interval; a single pair takes
    it from the two rows' own intervals as if they were independent, which is wider than a paired one."""
    if len(pairs) > 1:
        return over_seeds([first.value - second.value for first, second in pairs])
    first, second = (of_rows([row]) for row in pairs[0])
    value = first.value - second.value
    if first.half is None or second.half is None or not math.isfinite(value):
        return Estimate(value)
    half = math.hypot(first.half, second.half)
    return Estimate(value, value - half, value + half, 1, "rows")
