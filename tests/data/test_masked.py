"""Holes in a text: a function of the piece alone, and what is supervised is what was hidden."""

import hashlib

import numpy as np
import pytest

from distill.data.masked import MaskedData, holes
from distill.data.tokenizer import TrainedBPE

MASK = 300


def digest(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def test_holes_are_a_function_of_the_piece():
    ids = np.arange(50)
    first, again = holes(ids, digest(1), MASK, 0.15), holes(ids, digest(1), MASK, 0.15)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], holes(ids, digest(2), MASK, 0.15)[1])


def test_what_is_not_supervised_is_shown_as_it_is():
    ids = np.arange(1000) % 290
    shown, places = holes(ids, digest(3), MASK, 0.15)
    rest = np.setdiff1d(np.arange(1000), places)
    assert np.array_equal(shown[rest], ids[rest])
    assert len(places) == pytest.approx(150, abs=50)
    assert (shown[places] == MASK).mean() == pytest.approx(0.8, abs=0.12)
    assert (shown[places] == ids[places]).mean() == pytest.approx(0.1, abs=0.08)


def test_something_is_supervised_and_a_rate_of_one_hides_nothing():
    assert len(holes(np.arange(2), digest(4), MASK, 1e-9)[1]) == 1
    shown, places = holes(np.arange(5), digest(5), MASK, 1.0)
    assert np.array_equal(shown, np.arange(5))
    assert len(places) == 5


def test_a_batch_of_documents(tmp_path):
    (tmp_path / "text.jsonl").write_text("".join(f'{{"text": "document {i} of some words"}}\n' for i in range(80)))
    data = MaskedData(path=str(tmp_path / "text.jsonl"), tokenizer=TrainedBPE(300), batch_size=4, sequence_length=16)
    batch = data.batch(0)
    assert data.task.family == "masked"
    assert not batch.causal
    assert batch.bytes == 0
    shown = batch.inputs["input_ids"].flatten()
    assert batch.inputs["attention_mask"].flatten()[batch.positions].all()
    assert (shown[batch.positions] == data.prepare().mask_token_id).any()
    assert batch.tokens == len(batch.positions) == len(batch.targets)
    assert data.prompts(3) == []  # nothing writes on after them
