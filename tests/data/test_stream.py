"""The order of rows is a function of (seed, index) alone."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.data.stream import Stream, order

SIZES = {"rows": st.integers(1, 30), "batch": st.integers(1, 8), "seed": st.integers(0, 2**32)}


def flat(stream, steps) -> list[int]:
    return [row for rows in islice(stream, steps) for row in rows]


@given(**SIZES, start=st.integers(0, 50))
def test_a_stream_that_starts_later_goes_on_exactly(rows, batch, seed, start):
    whole = flat(Stream(rows, batch, seed), start + 5)
    assert flat(Stream(rows, batch, seed, start), 5) == whole[start * batch :]


@given(**SIZES, world=st.integers(1, 4), cut=st.sampled_from([1, 2, 4]))
def test_the_rows_of_a_step_do_not_depend_on_ranks_or_micro_batches(rows, batch, seed, world, cut):
    """A step of ``4 * batch`` rows: cut into micro-batches and dealt to ranks in any way, in order too."""
    whole = flat(Stream(rows, 4 * batch * world, seed), 3)
    streams = [Stream(rows, 4 * batch // cut, seed, rank=rank, world_size=world) for rank in range(world)]
    dealt = [row for step in range(3 * cut) for stream in streams for row in stream.at(step)]
    assert dealt == whole


@given(rows=st.integers(1, 200), seed=st.integers(0, 2**63), epoch=st.integers(0, 10**6))
def test_every_epoch_is_a_permutation(rows, seed, epoch):
    assert sorted(order(seed, epoch, rows).tolist()) == list(range(rows))


def test_seeds_and_epochs_differ():
    orders = {tuple(order(seed, epoch, 50).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_each_place_is_as_likely():
    """Chi-square of row against place over 2,000 epochs: 49 degrees of freedom, below the 1e-6 quantile."""
    counts = np.zeros((8, 8))
    for epoch in range(2_000):
        counts[np.arange(8), order(1, epoch, 8)] += 1
    assert ((counts - 250) ** 2 / 250).sum() < 120


def test_the_order_is_the_same_on_every_machine():
    """Stored: a change here changes every run ever made."""
    assert order(0, 0, 10).tolist() == [3, 2, 1, 8, 6, 0, 7, 4, 5, 9]


@pytest.mark.parametrize("step", [0, 1, 10**12])
def test_any_step_is_as_quick_as_the_first(step):
    assert len(Stream(1_000, 32, 3).at(step)) == 32
