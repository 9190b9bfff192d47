"""Means over seeds and paired differences: closed forms, and what happens to an undefined number."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distill.reports.intervals import of_rows, over_seeds, paired, student_t
from distill.rows import Row

numbers = st.floats(-1e3, 1e3)


def row(value: float, low: float | None = None, high: float | None = None, seed: int = 0) -> Row:
    return Row("student", "nats_per_token", value, "nats/token", "test", 1, seed, 1, low, high)


@pytest.mark.parametrize("freedom", [1, 2, 5, 30, 31, 60, 500])
def test_quantile_is_students(freedom: int) -> None:
    assert student_t(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-3)


@given(st.lists(numbers, min_size=2, max_size=20))
def test_interval_is_the_textbook_one(values: list[float]) -> None:
    told = over_seeds(values)
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    assert told.value == pytest.approx(sum(values) / len(values), abs=1e-6)
    assert told.half == pytest.approx(half, rel=1e-3, abs=1e-6)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=9), numbers)
def test_what_both_share_leaves_the_difference(pairs: list[tuple[float, float]], shift: float) -> None:
    """A seed that makes both subjects better or worse by the same amount does not widen the interval."""
    plain = paired([(row(a), row(b)) for a, b in pairs])
    moved = paired([(row(a + shift * i), row(b + shift * i)) for i, (a, b) in enumerate(pairs)])
    assert moved.value == pytest.approx(plain.value, abs=1e-6)
    assert moved.half == pytest.approx(plain.half, abs=1e-6)


def test_one_run_has_only_its_own_interval() -> None:
    assert of_rows([row(2.0)]).half is None
    assert of_rows([row(2.0, 1.9, 2.1)]).basis == "row"
    assert paired([(row(2.0), row(3.0))]).half is None
    assert paired([(row(2.0, 1.7, 2.3), row(3.0, 2.6, 3.4))]).half == pytest.approx(0.5)


def test_undefined_stays_undefined() -> None:
    assert math.isnan(over_seeds([1.0, math.nan, 3.0]).value)
    assert over_seeds([1.0, math.nan]).half is None
    assert paired([(row(math.nan, 1, 2), row(1.0, 0, 2))]).half is None


@pytest.mark.parametrize(("low", "high", "sign"), [(0.1, 0.3, 1), (-0.1, 0.3, 0), (-0.3, -0.1, -1)])
def test_a_difference_counts_where_its_interval_leaves_out_zero(low: float, high: float, sign: int) -> None:
    told = of_rows([row((low + high) / 2, low, high)])
    assert told.sign == sign
    assert (-told).sign == -sign
