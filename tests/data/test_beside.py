"""A batch with the teacher's tokens beside: the same text, no token shifted, nothing changed where nothing differs."""

from dataclasses import fields

import pytest
import torch

from distill.data.encode import Marks, encode
from distill.data.spelling import spelling
from distill.data.text import TextData
from distill.types import Spans

TEXT = "Whoever distils a naïve model — 日本語 — wants to know what it cost.\n" * 3


@pytest.fixture
def make(tmp_path):
    def paired(student, teacher, packing=True, length=16):
        for index in range(9):
            (tmp_path / f"{index}.txt").write_text(f"{index}: {TEXT[index:]}{'again ' * index}", encoding="utf-8")
        data = TextData(
            path=str(tmp_path), validation=0.2, test=0.2, sequence_length=length, batch_size=4, packing=packing
        )
        data.prepare(student)
        if teacher is not None:
            data.pair(teacher)
        return data

    return paired


@pytest.fixture(scope="session")
def other(bpe):
    return bpe(begin="<s>", end="</s>", adds=True, padding="<pad>", size=280, texts=["what it cost, again"] * 3)


@pytest.mark.parametrize("packing", [True, False])
def test_equal_tokenizers_give_equal_tensors(make, tokenizer, packing):
    plain, pair = make(tokenizer, None, packing).batch(1), make(tokenizer, tokenizer, packing).batch(1)
    for key, value in plain.inputs.items():
        assert torch.equal(pair.inputs[key], value)
        assert torch.equal(pair.teacher_inputs[key], value)
    for name in ("positions", "targets", "owners"):
        assert torch.equal(getattr(pair, name), getattr(plain, name))
    assert torch.equal(pair.teacher_positions, plain.teacher_positions)
    assert torch.equal(pair.spans.teacher_targets, plain.targets)
    assert torch.equal(pair.spans.starts, pair.spans.teacher_starts)
    assert torch.equal(pair.spans.ends, pair.spans.teacher_ends)
    assert pair.bytes == plain.bytes == pair.spans.teacher_bytes


def test_without_a_teacher_of_other_tokens_nothing_is_added(make, tokenizer):
    batch = make(tokenizer, None).batch(0)
    assert batch.spans is None
    assert batch.taught is batch
    assert batch.teacher_inputs is batch.inputs


@pytest.mark.parametrize("packing", [True, False])
def test_every_target_stands_behind_the_position_that_predicts_it(make, tokenizer, other, packing):
    batch = make(tokenizer, other, packing).batch(0)
    taught = batch.taught
    assert taught.targets.numel() == taught.positions.numel() == taught.owners.numel()
    ids = taught.inputs["input_ids"].flatten()
    same = (taught.owners[1:] == taught.owners[:-1]).nonzero()[:, 0]
    assert torch.equal(ids[taught.positions[same + 1]], taught.targets[same])  # a target is the next input
    assert torch.equal(batch.spans.teacher_ends[same], batch.spans.teacher_starts[same + 1])


def test_both_sides_spell_the_same_bytes_of_a_document(make, tokenizer, other):
    data = make(tokenizer, other)
    texts = {document.digest: document.text for document in data.documents.train}
    both = "".join(texts.values()).encode()
    for step in range(2):
        batch = data.batch(step)
        for who, view in ((tokenizer, batch), (other, batch.taught)):
            spelt = spelling(who)
            for owner in view.owners.unique().tolist():
                ids = view.targets[view.owners == owner].tolist()
                assert b"".join(spelt[index] or b"" for index in ids) in both


def test_bytes_are_those_between_the_edges(make, tokenizer, other):
    spans = make(tokenizer, other).batch(0).spans
    spelt = spelling(other)
    spelled = sum(len(spelt[index] or b"") for index in spans.teacher_targets.tolist())
    assert (
        abs(spelled - spans.teacher_bytes) <= 3 * 4
    )  # a character that a piece's edge cuts counts for its first token


def test_a_document_begins_for_each_as_its_tokenizer_does_it(make, tokenizer, other):
    data = make(tokenizer, other, packing=False, length=4096)
    batch = data.batch(0)
    assert (batch.inputs["input_ids"][:, 0] == tokenizer.bos_token_id).all()
    assert (batch.teacher_inputs["input_ids"][:, 0] == other.bos_token_id).all()
    first = [int((batch.spans.teacher_owners == owner).nonzero()[0, 0]) for owner in range(len(batch.samples))]
    assert (batch.spans.teacher_starts[first] == 0).all()  # the first token of the text is predicted
    last = [int((batch.spans.teacher_owners == owner).nonzero()[-1, 0]) for owner in range(len(batch.samples))]
    assert (batch.spans.teacher_targets[last] == other.eos_token_id).all()
    assert (batch.spans.teacher_ends[last] == batch.spans.ends[batch.owners.diff(append=torch.tensor([99])) > 0]).all()


def test_whole_documents_are_the_teachers_own_tokens(make, tokenizer, other):
    data = make(tokenizer, other, packing=False, length=4096)
    texts = [document.text for document in data.documents.test]
    batch = data.test_batches()[0]
    encoded = encode(texts, other, Marks.of(other))
    for owner, first in enumerate(encoded.bounds[: len(batch.samples)]):
        ids = encoded.ids[first : encoded.bounds[owner + 1]].tolist()
        assert batch.spans.teacher_targets[batch.spans.teacher_owners == owner].tolist() == ids[1:]
    assert batch.spans.teacher_bytes == sum(len(text.encode()) for text in texts[: len(batch.samples)])


def test_samples_are_known_by_both_sides(make, tokenizer, other):
    assert make(tokenizer, other).batch(0).samples != make(tokenizer, None).batch(0).samples


def test_the_fingerprint_knows_the_teachers_tokenizer(make, tokenizer, other):
    plain, pair = make(tokenizer, None).fingerprint, make(tokenizer, other).fingerprint
    assert pair != plain
    assert make(tokenizer, tokenizer).fingerprint not in (plain, pair)


def test_a_batch_moves_whole(make, tokenizer, other):
    moved = make(tokenizer, other).batch(0).to("meta")
    told = [getattr(moved.spans, field.name) for field in fields(Spans)]
    assert all(value.device.type == "meta" for value in told if isinstance(value, torch.Tensor))


def test_the_longest_piece_of_the_teachers_is_known(make, tokenizer, other):
    data = make(tokenizer, other)
    seen = [data.batch(step).spans.teacher_owners.bincount().max() for step in range(4)]
    assert max(seen) <= data.teacher_length()
