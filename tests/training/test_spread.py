"""The spread of a number that comes step by step is that of all its values at once, also across a checkpoint."""

from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.training.spread import Spread


@given(st.lists(st.floats(0.01, 1e4), min_size=2, max_size=30), st.integers(0, 30))
def test_the_variation_is_standard_deviation_over_mean_wherever_the_run_was_stopped(values, stop):
    spread = Spread()
    for value in values[:stop]:
        spread.add(value)
    resumed = Spread()
    resumed.restore(spread.state())
    for value in values[stop:]:
        resumed.add(value)
    assert resumed.variation == pytest.approx(stdev(values) / fmean(values), rel=1e-6, abs=1e-9)


def test_one_step_has_no_spread():
    spread = Spread()
    spread.add(3.0)
    assert spread.variation is None
