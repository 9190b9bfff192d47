"""Axes hold their numbers, and ticks are read as the numbers where they stand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.reports.axes import fitted, logarithmic, named, short
from distill.reports.measures import MINUS

PREFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}


def read(text: str) -> float:
    text = text.replace(MINUS, "-")
    return float(text[:-1]) * PREFIXES[text[-1]] if text[-1] in PREFIXES else float(text)


@given(st.lists(st.floats(-1e7, 1e7), min_size=1, max_size=30))
def test_a_linear_axis_holds_every_value_between_its_ends(values: list[float]) -> None:
    axis = fitted(values, 40, 390)
    assert all(40 - 1e-6 <= axis(value) <= 390 + 1e-6 for value in values)
    assert 2 <= len(axis.ticks) <= 9


@given(st.lists(st.floats(1e-6, 1e9), min_size=2, max_size=30, unique=True))
def test_a_logarithmic_axis_too_and_equal_ratios_are_equal_lengths(values: list[float]) -> None:
    axis = fitted(values, 40, 390, log=True)
    assert all(40 - 1e-6 <= axis(value) <= 390 + 1e-6 for value in values)
    one, four = axis.low, axis.low * 1.3**2
    assert axis(four) - axis(one) == pytest.approx(2 * (axis(axis.low * 1.3) - axis(one)), rel=1e-6)


@pytest.mark.parametrize("ends", [(0, 1), (2.0, 2.9), (3.51, 3.52), (0, 900), (-3, 3), (0, 31_000), (1e-5, 4e-5)])
def test_tick_texts_are_true(ends: tuple[float, float]) -> None:
    ticks = fitted(ends, 0, 100).ticks
    step = ticks[1][0] - ticks[0][0]
    for value, text in ticks:
        assert read(text) == pytest.approx(value, abs=step * 0.06)
    assert len({text for _, text in ticks}) == len(ticks)


def test_undefined_and_lonely_values_still_make_an_axis() -> None:
    for values in ([], [math.nan], [5.0], [0.0], [math.inf, 2.0]):
        axis = fitted(values, 0, 100)
        assert axis.high > axis.low
    assert fitted([-1.0, 0.0, 10.0, 100.0], 0, 100, log=True).low > 0


def test_values_that_were_tried_are_the_ticks() -> None:
    axis = named([0.03, 0.25, 1.0], 0, 100, "share", ["0.03", "0.25", "1"], log=True)
    assert [text for _, text in axis.ticks] == ["0.03", "0.25", "1"]


@pytest.mark.parametrize(
    ("values", "log"),
    [([1, 2, 4], True), ([1, 2, 3], False), ([0.03, 0.06, 0.25, 1], True), ([0, 10], False), ([1, 2], False)],
)
def test_ratios_or_steps(values: list[float], log: bool) -> None:
    assert logarithmic(values) is log


def test_short_numbers() -> None:
    assert [short(v) for v in (0, 0.5, 1e4, 2_500_000, -3, 1e-5)] == ["0", "0.5", "10k", "2.5M", f"{MINUS}3", "1e-5"]
