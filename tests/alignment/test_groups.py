"""Groups partition the bytes of any text under any two tokenizers, as finely as they can."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.alignment.groups import groups
from distill.data.encode import Marks, encode
from distill.data.spelling import byte_ends, spelling
from tests.alignment.pairs import paired

TEXTS = st.lists(st.sampled_from(["the ", "tea", "text", "\n", "é", "日本", "🙂", " ", "said", "x", "ﬁ"]), min_size=1)


def side(text, tokenizer):
    """Owners, starts, ends and ids of a text without marks."""
    ids = encode([text], tokenizer, Marks(None, None, 0)).ids
    ends = byte_ends(text, ids.tolist(), spelling(tokenizer), np.zeros((len(ids), 2), np.int64))
    starts = np.concatenate([[0], ends[:-1]])
    return (torch.zeros(len(ids), dtype=torch.int64), torch.tensor(starts), torch.tensor(ends)), ids


@pytest.mark.parametrize("other", ["code", "letters", "english"])
@settings(max_examples=60, deadline=None)
@given(parts=TEXTS)
def test_groups_partition_the_bytes(other, parts, request):
    text = "".join(parts)
    one, two = request.getfixturevalue("english"), request.getfixturevalue(other)
    (ours, ids), (theirs, other_ids) = side(text, one), side(text, two)
    mine, its = groups(ours, theirs)
    assert (mine >= 0).all()
    assert (its >= 0).all()
    assert mine.unique().tolist() == its.unique().tolist()
    spelled = b""
    for group in mine.unique().tolist():
        left = b"".join(spelling(one)[i] or b"" for i in ids[(mine == group).numpy()])
        right = b"".join(spelling(two)[i] or b"" for i in other_ids[(its == group).numpy()])
        assert left == right != b""
        spelled += left
    assert spelled == text.encode()
    met = set(ours[2].tolist()) & set(theirs[2].tolist())
    assert len(mine.unique()) == len(met)  # no finer partition has both sides' tokens whole


def test_equal_tokens_are_groups_of_one(english):
    ours, _ = side("The teacher reads 日本語.", english)
    mine, its = groups(ours, ours)
    assert torch.equal(mine, its)
    assert torch.equal(mine, torch.arange(mine.numel()))


def test_edges_that_only_one_side_has_are_in_no_group():
    def told(starts, ends):
        return torch.zeros(len(ends), dtype=torch.int64), torch.tensor(starts), torch.tensor(ends)

    mine, its = groups(told([0, 2, 4, 7], [2, 4, 7, 9]), told([1, 2, 4], [2, 4, 8]))
    assert mine.tolist() == [-1, 0, -1, -1]
    assert its.tolist() == [-1, 0, -1]


def test_a_token_that_ends_inside_a_character_goes_with_its_rest():
    def told(starts, ends):
        return torch.zeros(len(ends), dtype=torch.int64), torch.tensor(starts), torch.tensor(ends)

    mine, its = groups(told([0, 1, -1, 4], [1, -1, 4, 5]), told([0, 1, 4], [1, 4, 5]))
    assert mine.tolist() == [0, 1, 1, 2]
    assert its.tolist() == [0, 1, 2]


def test_an_unknown_end_is_not_looked_for_in_the_next_sample():
    owners = torch.tensor([0, 0, 1, 1])
    ours = owners, torch.tensor([0, 1, 0, 1]), torch.tensor([1, -1, 1, 2])
    theirs = owners, torch.tensor([0, 1, 0, 1]), torch.tensor([1, 3, 1, 2])
    mine, its = groups(ours, theirs)
    assert mine[1] == -1 == its[1]
    assert torch.equal(mine[2:] >= 0, torch.tensor([True, True]))


def test_groups_do_not_cross_samples(english, code, tmp_path):
    batch = paired(tmp_path / "d", english, code).batch(0)
    spans = batch.spans
    mine, its = groups(
        (batch.owners, spans.starts, spans.ends), (spans.teacher_owners, spans.teacher_starts, spans.teacher_ends)
    )
    for group, owners in ((mine, batch.owners), (its, spans.teacher_owners)):
        inside = group >= 0
        pairs = set(zip(group[inside].tolist(), owners[inside].tolist(), strict=True))
        assert len(pairs) == len({number for number, _ in pairs})
    shared = set(mine[mine >= 0].tolist())
    owner_of = dict(zip(mine.tolist(), batch.owners.tolist(), strict=True))
    assert all(
        owner_of[g] == o for g, o in zip(its.tolist(), spans.teacher_owners.tolist(), strict=True) if g in shared
    )
    assert all(a <= b for a, b in itertools.pairwise(mine[mine >= 0].tolist()))
