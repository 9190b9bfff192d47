"""Layer maps are the papers', and have a pair for every size they are defined at."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import BadInput
from distill.layers import final, last, listed, pairs, skip, uniform

COUNTS = st.integers(1, 40)


def test_the_maps_of_the_papers():
    """TinyBERT: g(m) = 3m for 4 of 12, i·block + block − 1 in its code; PKD: Skip 2, 4, … 10 and Last 7 … 11 for 6 of
    12, counted there from 1."""
    assert [t for _, t in uniform(4, 12)] == [i * 3 + 3 - 1 for i in range(4)]
    assert [t for _, t in uniform(6, 12)] == [i * 2 + 2 - 1 for i in range(6)]
    assert [(s + 1, t + 1) for s, t in skip(6, 12)] == [(1, 2), (2, 4), (3, 6), (4, 8), (5, 10)]
    assert [(s + 1, t + 1) for s, t in last(6, 12)] == [(1, 7), (2, 8), (3, 9), (4, 10), (5, 11)]
    assert final(6, 12) == ((5, 11),)


@given(COUNTS, COUNTS)
def test_uniform_ends_at_the_last_layer_and_never_goes_back(student, teacher):
    made = uniform(student, teacher)
    assert [s for s, _ in made] == list(range(student))
    told = [t for _, t in made]
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] == teacher - 1
    steps = [b - a for a, b in itertools.pairwise(told)]
    assert not steps or max(steps) - min(steps) <= 1


@given(COUNTS)
def test_as_many_layers_are_paired_one_to_one(count):
    same = tuple((layer, layer) for layer in range(count))
    assert uniform(count, count) == same
    assert skip(count, count) == last(count, count) == same[:-1]


@given(COUNTS, COUNTS)
def test_every_pair_exists(student, teacher):
    for made in (uniform, skip, last, final):
        assert all(0 <= s < student and 0 <= t < teacher for s, t in made(student, teacher))


def test_listed_pairs_count_from_the_end_too():
    assert listed([[-1, 20], [0, -24]], 6, 24) == ((5, 20), (0, 0))
    assert pairs([[-1, -1]], 3, 9) == pairs("final", 3, 9)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([[0, 9]], "the teacher has layers 0 to 8"),
        ([[-4, 0]], "the student has layers 0 to 2"),
        ([[1]], "is no pair"),
        ([], "pairs no layer"),
    ],
)
def test_pairs_that_do_not_exist_are_refused(layers, said):
    with pytest.raises(BadInput, match=said):
        pairs(layers, 3, 9)


@pytest.mark.parametrize("name", ["skip", "last"])
def test_a_map_without_a_pair_is_refused_with_another(name):
    with pytest.raises(BadInput, match="use uniform or final"):
        pairs(name, 1, 12)
