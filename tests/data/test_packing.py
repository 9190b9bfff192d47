"""Every token but the unpredictable first one is supervised exactly once, whatever the lengths."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.data.encode import Encoded, Marks, encode
from distill.data.packing import best_fit, cut, lay, pack


def encoded(lengths) -> Encoded:
    """Documents whose ids are all different, so that a token can be found again."""
    bounds = np.cumsum([0, *lengths], dtype=np.int64)
    ids = np.arange(bounds[-1], dtype=np.int32)
    return Encoded(ids, (ids % 5).astype(np.int32), bounds)


LENGTHS = st.lists(st.integers(0, 40), max_size=20)


@given(lengths=LENGTHS, width=st.integers(1, 17), packing=st.booleans())
def test_every_predictable_token_is_supervised_exactly_once(lengths, width, packing):
    documents = encoded(lengths)
    pieces = cut(documents, width)
    rows = pack(pieces, width) if packing else lay(pieces)
    firsts = {int(first) for first, length in zip(documents.bounds, lengths, strict=False) if length}
    supervised = [int(t) for i in range(len(rows)) for piece in rows[i] for t in piece.targets]
    assert sorted(supervised) == sorted(set(documents.ids.tolist()) - firsts)
    assert pieces.tokens == len(supervised)


@given(lengths=LENGTHS, width=st.integers(1, 17))
def test_targets_are_the_tokens_after_the_inputs_and_never_of_another_document(lengths, width):
    documents = encoded(lengths)
    pieces = cut(documents, width)
    for index in range(len(pieces)):
        piece = pieces[index]
        assert (piece.targets == piece.inputs + 1).all()
        assert 1 <= len(piece.inputs) <= width
        owner = np.searchsorted(documents.bounds, piece.inputs[0], side="right")
        assert documents.bounds[owner] > piece.targets[-1]


@given(lengths=LENGTHS, width=st.integers(1, 17))
def test_bytes_of_the_pieces_are_those_of_the_supervised_tokens(lengths, width):
    documents = encoded(lengths)
    pieces = cut(documents, width)
    firsts = [int(first) for first, length in zip(documents.bounds, lengths, strict=False) if length]
    assert pieces.bytes == int(documents.bytes.sum() - documents.bytes[firsts].sum())
    assert pieces.bytes == sum(pieces[i].bytes for i in range(len(pieces)))


@given(lengths=LENGTHS, width=st.integers(1, 17), enough=st.integers(1, 200))
def test_a_limit_keeps_the_fewest_first_pieces_that_reach_it(lengths, width, enough):
    whole, part = cut(encoded(lengths), width), cut(encoded(lengths), width, enough)
    assert np.array_equal(part.lengths, whole.lengths[: len(part)])
    assert part.tokens >= min(enough, whole.tokens)
    assert len(part) == 0 or part.tokens - part.lengths[-1] < enough


def test_documents_with_nothing_to_supervise_are_counted():
    pieces = cut(encoded([1] * 50 + [2] * 3), 8)
    assert (pieces.unsupervised, pieces.documents, len(pieces)) == (50, 3, 3)


# ------------------------------------------------------------------------------------------------------ rows of pieces


@given(st.lists(st.integers(1, 16), max_size=60))
def test_no_row_overflows_and_no_piece_is_lost(lengths):
    rows = best_fit(lengths, 16)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in row) <= 16 for row in rows)


@given(st.lists(st.lists(st.integers(1, 15), max_size=6), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_rows_are_at_most_what_best_fit_decreasing_promises(cuts, chance):
    """Full rows are cut up and shuffled, so the optimum is known: at most 11/9 of it plus 6/9 (Johnson 1973)."""
    lengths = [b - a for row in cuts for a, b in pairwise(sorted({0, 16, *row}))]
    chance.shuffle(lengths)
    assert len(best_fit(lengths, 16)) <= (11 * len(cuts) + 6) / 9


def test_best_fit_by_hand():
    assert best_fit([5, 3, 6, 2, 4], 8) == [[2, 3], [0, 1], [4]]
    assert best_fit([8, 8], 8) == [[0], [1]]
    assert best_fit([], 8) == []


def test_rows_of_ordinary_text_are_nearly_full():
    lengths = np.random.default_rng(0).geometric(1 / 60, 3_000).clip(1, 64)
    rows = best_fit(lengths.tolist(), 64)
    assert lengths.sum() / (64 * len(rows)) > 0.97


# ---------------------------------------------------------------------------------------------------- the end of text


def test_the_end_is_learnable_whatever_the_padding_is(marked):
    """Also where the padding has the id of the end (TRL #6357): the label is chosen by place and not by id."""
    marks = Marks.of(marked)
    documents = encode(["one document", "another one"], marked, marks)
    pieces = pack(cut(documents, 16), 16).pieces
    targets = np.concatenate([pieces[i].targets for i in range(len(pieces))])
    if marks.end is not None:
        assert int((targets == marks.end).sum()) == 2


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_a_document_cut_at_its_end_still_learns_the_end(tokenizer, width):
    documents = encode(["the quick brown fox"], tokenizer, Marks.of(tokenizer))
    pieces = cut(documents, width)
    assert pieces[len(pieces) - 1].targets[-1] == tokenizer.eos_token_id


# ------------------------------------------------------------------------------------------------------------- samples


def test_a_sample_hash_is_of_its_inputs_alone():
    documents = Encoded(np.asarray([1, 2, 3, 1, 2, 4, 1, 3], np.int32), np.zeros(8, np.int32), np.asarray([0, 3, 6, 8]))
    first, second, third = (cut(documents, 4)[i] for i in range(3))
    assert first.hash == second.hash != third.hash
    assert len(first.hash) == 64


@given(st.lists(st.integers(0, 2**31 - 1), min_size=2, max_size=6), st.data())
def test_any_edit_of_the_inputs_changes_the_hash(ids, data):
    def hash_of(tokens) -> str:
        n = len(tokens)
        return cut(Encoded(np.asarray(tokens, np.int32), np.zeros(n, np.int32), np.asarray([0, n])), n)[0].hash

    place = data.draw(st.integers(0, len(ids) - 2))
    edited = [*ids]
    edited[place] ^= 1
    assert hash_of(edited) != hash_of(ids)
    assert hash_of([0, *ids]) != hash_of(ids)
