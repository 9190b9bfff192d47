"""How a student's loss falls with its size and its tokens: the form of the distillation scaling laws, fitted.

    L_S = L_T + (A / N^α + B / D^β)^γ,    N the student's parameters, D the tokens it saw, L_T its teacher's loss

Source: Busbridge et al. 2025, Distillation Scaling Laws, arXiv:2502.08606: its form without the factor that tells of
the capacity gap, which needs students trained without a teacher at every size. The inner sum is that of Hoffmann et
al. 2022, arXiv:2203.15556.

A dozen points of one decade do not determine exponents: read the intervals, and the prediction of points left out,
before the numbers. Left out on purpose: the authors' exponents, which are of other text and other sizes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import BadInput
from distill.reports.gather import Run

NAMES = ("log A", "α", "log B", "β", "γ")
FEWEST = 8
"""Points; five numbers are fitted."""
RESAMPLES, SEED = 200, 20_240_901
_LOW, _HIGH = (-5.0, 0.02, -5.0, 0.02, 0.2), (40.0, 3.0, 40.0, 3.0, 3.0)
_STARTS = ((4.0, 0.4, 4.0, 0.4, 1.0), (8.0, 0.8, 6.0, 0.5, 1.0), (2.0, 0.2, 8.0, 0.8, 0.7), (6.0, 0.5, 2.0, 0.2, 1.5))
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """One finished student: its size, its tokens, its loss and its teacher's, nats a token."""

    parameters: float
    tokens: float
    loss: float
    teacher: float


@dataclass(frozen=True)
class Fitted:
    """The law.

    Attributes:
        values: of ``NAMES``.
        low, high: their 95 % intervals, by drawing points with replacement.
        error: root mean square of the residuals, nats a token.
        left_out: the same of each point predicted by a fit of the others.
        points: that it was fitted to.
    """

    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    error: float
    left_out: float
    points: int

    def loss(self, parameters: float, tokens: float, teacher: float) -> float:
        """What the law predicts."""
        where = np.array([[parameters, tokens]])
        return float(teacher + _gap(np.asarray(self.values), where)[0])


def point(run: Run) -> Point | None:
    """What a run contributes; None where it has not measured a student beside a teacher."""
    size, loss = run.last("student", "parameters"), run.last("student", "nats_per_token")
    teacher, data, trainer = run.last("teacher", "nats_per_token"), run.config.get("data"), run.config.get("trainer")
    if size is None or loss is None or teacher is None or not isinstance(data, dict) or not isinstance(trainer, dict):
        return None
    rows, length = data.get("batch_size"), data.get("sequence_length")
    if not isinstance(rows, int) or not isinstance(length, int) or not loss.step:
        return None
    tokens = loss.step * rows * length * int(trainer.get("accumulate_grad_batches", 1))
    values = (size.value, float(tokens), loss.value, teacher.value)
    return Point(*values) if all(map(math.isfinite, values)) else None


def fitted(points: Sequence[Point]) -> Fitted:
    """The law that fits best, with its intervals.

    Raises:
        BadInput: too few points, of one size or one budget, or a student better than its teacher; or no scipy.
    """
    _refuse(points)
    where = np.array([[one.parameters, one.tokens] for one in points])
    gaps = np.array([one.loss - one.teacher for one in points])
    best = _solved(where, gaps, _STARTS)
    chance, told = np.random.default_rng(SEED), []
    for _ in range(RESAMPLES):
        drawn = chance.integers(0, len(points), len(points))
        told.append(_solved(where[drawn], gaps[drawn], (tuple(best),)))
    low, high = np.quantile(np.array(told), (0.025, 0.975), axis=0)
    residuals = _gap(best, where) - gaps
    outside = [_left_out(where, gaps, best, place) for place in range(len(points))]
    error, left_out = (float(np.sqrt(np.mean(np.square(one)))) for one in (residuals, outside))
    numbers, least, most = (tuple(map(float, one)) for one in (best, low, high))
    return Fitted(numbers, least, most, error, left_out, len(points))


def _left_out(where: Vector, gaps: Vector, start: Vector, place: int) -> float:
    rest = np.arange(len(gaps)) != place
    found = _solved(where[rest], gaps[rest], (tuple(start),))
    return float(_gap(found, where[place : place + 1])[0] - gaps[place])


def _gap(values: Vector, where: Vector) -> Vector:
    """(5,), (n, 2) -> (n,) L_S − L_T."""
    log_a, alpha, log_b, beta, gamma = values
    log = np.log(where)
    inner = np.logaddexp(log_a - alpha * log[:, 0], log_b - beta * log[:, 1])
    return np.exp(gamma * inner)


def _solved(where: Vector, gaps: Vector, starts: Sequence[Sequence[float]]) -> Vector:
    """Least squares of log gaps (relative errors), from several starts; robust against a run that went astray."""
    from scipy.optimize import least_squares

    def residuals(values: Vector) -> Vector:
        return np.log(_gap(values, where)) - np.log(gaps)

    found: list[Any] = [
        least_squares(residuals, start, bounds=(_LOW, _HIGH), loss="soft_l1", f_scale=0.1) for start in starts
    ]
    return np.asarray(min(found, key=lambda one: one.cost).x)


def _refuse(points: Sequence[Point]) -> None:
    place = "scaling law"
    if len(points) < FEWEST:
        remedy = "sweep over student.width and trainer.max_steps"
        raise BadInput(place, f"needs {FEWEST} students beside a teacher", value=len(points), remedy=remedy)
    if len({one.parameters for one in points}) < 2 or len({one.tokens for one in points}) < 2:
        raise BadInput(place, "all students have one size, or saw as many tokens", remedy="sweep over both")
    if any(one.loss <= one.teacher for one in points):
        raise BadInput(place, "a student is better than its teacher", remedy="the form has no word for that")
    try:
        import scipy.optimize  # noqa: F401
    except ImportError:
        raise BadInput(place, "needs scipy", remedy="pip install 'distill-lab[sweep]'") from None
