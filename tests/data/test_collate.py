import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.data.collate import Collate
from distill.data.encode import Encoded
from distill.data.packing import cut, lay, pack


def rows_of(lengths, width, packing):
    bounds = np.cumsum([0, *lengths], dtype=np.int64)
    ids = 100 + np.arange(bounds[-1], dtype=np.int32)
    pieces = cut(Encoded(ids, np.ones_like(ids), bounds), width)
    rows = pack(pieces, width) if packing else lay(pieces)
    return [rows[i] for i in range(len(rows))]


CASES = {"lengths": st.lists(st.integers(2, 30), min_size=1, max_size=10), "width": st.integers(2, 12)}


@given(**CASES, packing=st.booleans())
def test_the_position_that_predicts_a_target_holds_the_token_before_it(lengths, width, packing):
    rows = rows_of(lengths, width, packing)
    batch = Collate(width, 7, packing)(rows)
    assert torch.equal(batch.inputs["input_ids"].flatten()[batch.positions] + 1, batch.targets)
    assert batch.tokens == sum(lengths) - len(lengths) == batch.bytes
    assert len(batch.positions.unique()) == batch.tokens
    assert all(x.dtype == torch.int64 for x in (batch.positions, batch.targets, batch.owners, *batch.inputs.values()))


@given(**CASES, packing=st.booleans())
def test_tokens_of_a_sample_stand_together_under_its_hash(lengths, width, packing):
    rows = rows_of(lengths, width, packing)
    batch = Collate(width, 7, packing)(rows)
    pieces = [piece for row in rows for piece in row]
    assert batch.samples == tuple(piece.hash for piece in pieces)
    assert batch.owners.tolist() == [i for i, piece in enumerate(pieces) for _ in piece.inputs]
    assert batch.targets.tolist() == [int(t) for piece in pieces for t in piece.targets]


@given(**CASES)
def test_packed_position_ids_begin_again_with_every_piece_and_with_the_padding(lengths, width):
    rows = rows_of(lengths, width, True)
    batch = Collate(width, 7, True)(rows)
    assert set(batch.inputs) == {"input_ids", "position_ids"}
    for row, ids, places in zip(rows, batch.inputs["input_ids"], batch.inputs["position_ids"], strict=True):
        used = sum(len(piece.inputs) for piece in row)
        expected = [i for n in (*(len(piece.inputs) for piece in row), width - used) for i in range(n)]
        assert places.tolist() == expected
        assert (ids[used:] == 7).all()


@given(**CASES)
def test_unpacked_rows_are_padded_on_the_right_under_a_mask(lengths, width):
    rows = rows_of(lengths, width, False)
    batch = Collate(width, 7, False)(rows)
    assert set(batch.inputs) == {"input_ids", "attention_mask"}
    assert batch.inputs["attention_mask"].sum(1).tolist() == [len(piece.inputs) for (piece,) in rows]
    assert batch.inputs["input_ids"].shape[1] == max(len(piece.inputs) for (piece,) in rows)
    assert (batch.inputs["input_ids"][batch.inputs["attention_mask"] == 0] == 7).all()


@pytest.mark.parametrize("packing", [True, False])
def test_padding_is_never_supervised_whatever_its_id(packing):
    rows = rows_of([5, 3, 9], 8, packing)
    for padding in (7, 100, 105):
        batch = Collate(8, padding, packing)(rows)
        assert torch.equal(batch.targets, Collate(8, 7, packing)(rows).targets)


def test_the_teacher_is_shown_the_same_tensors():
    batch = Collate(8, 7, True)(rows_of([5, 3, 9], 8, True))
    assert batch.teacher_inputs["input_ids"] is batch.inputs["input_ids"]
    assert batch.teacher_positions is batch.positions
