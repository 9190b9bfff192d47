"""Minimum edit: distances and walks are the least ones, and equal tokenizers are left as they are."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.alignment.edits import distance, nearest, warped
from distill.alignment.identity import Identity
from distill.alignment.minimum_edit import MinimumEdit
from distill.data.spelling import spelling
from distill.divergences.kl import forward_kl
from tests.alignment.pairs import Sides, paired, prepared

WORDS = st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [(b"kitten", b"sitting", 3), (b"", b"abc", 3), (b"abc", b"abc", 0), (b"ab", b"ba", 2)],
)
def test_known_distances(left, right, expected):
    assert distance(left, right) == distance(right, left) == expected


@given(strings=WORDS, known=WORDS)
def test_the_nearest_is_the_nearest_of_all(strings, known):
    for one, place in zip(strings, nearest(strings, known), strict=True):
        distances = [distance(one, other) for other in known]
        assert place == distances.index(min(distances))


@settings(max_examples=40, deadline=None)
@given(left=st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=4), right=WORDS)
def test_the_walk_is_the_cheapest(left, right):
    left, right = tuple(left), tuple(right[:4])
    walk = warped(left, right)
    assert walk[0] == (0, 0)
    assert walk[-1] == (len(left) - 1, len(right) - 1)
    assert all((b[0] - a[0], b[1] - a[1]) in {(0, 1), (1, 0), (1, 1)} for a, b in itertools.pairwise(walk))

    def least(i, j):
        here = distance(left[i], right[j])
        before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        return here + min((least(a, b) for a, b in before if a >= 0 and b >= 0), default=0)

    assert sum(distance(left[i], right[j]) for i, j in walk) == least(len(left) - 1, len(right) - 1)


def test_equal_tokenizers_are_left_as_they_are(english, tmp_path):
    sides = Sides.of(paired(tmp_path / "d", english, english).batch(0), english, english)
    log_p, log_q, heard = sides.pair(prepared(MinimumEdit(), english, english))
    p, q, _ = sides.pair(Identity())
    assert heard.all()
    torch.testing.assert_close(forward_kl(log_p, log_q), forward_kl(p, q), rtol=1e-12, atol=1e-12)


def test_a_pair_has_no_other_partner_and_mass_is_moved_whole(english, code, tmp_path):
    batch = paired(tmp_path / "d", english, code).batch(0)
    sides = Sides.of(batch, english, code)
    alignment = prepared(MinimumEdit(), english, code)
    match = alignment.align(sides.signal, batch).match
    rows = match.rows[match.heard]
    assert rows.unique().numel() == rows.numel()
    assert torch.equal(batch.spans.teacher_owners[rows], batch.owners[match.heard])
    assert (match.spanned.groups[match.heard] == match.spanned.teacher_groups[rows]).all()
    log_p, log_q, _ = sides.pair(alignment)
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones_like(log_p[:, 0]))
    torch.testing.assert_close(log_q.exp().sum(1), torch.ones_like(log_q[:, 0]))


def test_a_token_without_its_string_goes_to_the_nearest_one():
    alignment = MinimumEdit()
    alignment.prepare([b"the", b"text", b"a"], [b"them", b"a", b"tex", None])
    log_p = alignment.moved(torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log())
    torch.testing.assert_close(log_p.exp(), torch.tensor([[0.1, 0.3, 0.2]]))


def test_strings_of_a_real_vocabulary_find_themselves(english, code):
    ours = [one for one in spelling(english) if one]
    theirs = [one for one in spelling(code) if one and one in set(ours)]
    assert [ours[place] for place in nearest(theirs[:50], ours)] == theirs[:50]
