"""Texts with labels and pairs of texts: what becomes of every row, and what a batch asks of a model."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertTokenizerFast

from distill.data.classification import ClassificationData, framed
from distill.data.similarity import chrf, closest
from distill.data.tokenizer import TrainedBPE
from distill.data.translation import TranslationData
from distill.errors import BadInput
from distill.students.encoder import Encoder
from distill.students.encoder_decoder import EncoderDecoder

WORDS = ["red", "green", "blue", "small", "large", "round", "flat", "old", "new", "warm", "cold"]


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def labelled(tmp_path):
    rows = [{"text": f"{WORDS[i % 11]} {WORDS[i % 7]} {i}", "label": i % 3} for i in range(120)]
    return lines(tmp_path / "rows.jsonl", rows)


@pytest.fixture
def pairs(tmp_path):
    rows = [{"en": f"{WORDS[i % 11]} {i}", "xx": f"{i} {WORDS[i % 11][::-1]}"} for i in range(150)]
    return lines(tmp_path / "pairs.jsonl", rows)


def classified(path, **more):
    return ClassificationData(path=path, tokenizer=TrainedBPE(300), batch_size=8, **more)


def translated(path, **more):
    given = {"source_field": "en", "target_field": "xx", "tokenizer": TrainedBPE(300), "batch_size": 8}
    return TranslationData(path=path, **given, **more)


def test_every_row_is_used_or_counted(tmp_path):
    rows = [{"text": f"word {i % 90}", "label": "ab"[i % 2]} for i in range(100)] + [{"text": " ", "label": "a"}]
    facts = (data := classified(lines(tmp_path / "rows.jsonl", rows))).facts or data.prepare()
    assert facts.rows == 101
    assert facts.dropped == {"duplicate": 10, "empty": 1}
    assert sum(one.documents for one in facts.splits.values()) == 90


def test_labels_stand_in_their_own_order(tmp_path):
    rows = [{"text": f"a text {i}", "label": label} for i, label in enumerate([10, 9, 2, 2, 10] * 30)]
    data = classified(lines(tmp_path / "rows.jsonl", rows))
    assert data.labels == ("2", "9", "10")
    assert data.task.labels == data.labels


def test_a_folder_a_label(tmp_path):
    for number in range(60):
        folder = tmp_path / "mails" / ("spam" if number % 2 else "ham")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.txt").write_text(f"a mail of number {number}")
    data = classified(str(tmp_path / "mails"))
    data.prepare()
    assert data.labels == ("ham", "spam")
    assert sum(one.documents for one in data.facts.splits.values()) == 60


def test_a_batch_points_at_what_is_pooled(labelled):
    data = classified(labelled)
    batch = data.batch(3)
    width = batch.inputs["input_ids"].shape[1]
    assert torch.equal(batch.positions, torch.arange(8) * width)
    assert batch.targets.max() < 3
    assert batch.bytes == 0
    assert not batch.causal
    assert torch.equal(data.batch(3).inputs["input_ids"], batch.inputs["input_ids"])


def test_a_split_depends_on_the_input_alone(tmp_path, labelled):
    other = [json.loads(line) for line in Path(labelled).read_text().splitlines()]
    moved = lines(tmp_path / "moved.jsonl", [{**row, "label": row["label"] + 1} for row in other])
    first, second = classified(labelled), classified(moved)
    assert [one.digest for one in first.documents.test] == [one.digest for one in second.documents.test]
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a", "label": 0.5}], "no word and no whole number"),
        ([{"text": "a", "label": "x"}, {"text": "b", "label": "x"}], "all texts have the same label"),
        ([{"text": "a"}], "no field 'label'"),
        ([{"text": 3, "label": 1}], "is a number, where text was expected"),
    ],
)
def test_refused_with_file_and_line(tmp_path, rows, message):
    with pytest.raises(BadInput, match=message):
        classified(lines(tmp_path / "rows.jsonl", rows)).labels  # noqa: B018


def test_no_source_or_two():
    with pytest.raises(BadInput, match="no source"):
        ClassificationData(tokenizer=TrainedBPE(300)).prepare()
    with pytest.raises(BadInput, match="two sources"):
        ClassificationData(path="a", name="b", tokenizer=TrainedBPE(300)).prepare()


def test_a_long_text_keeps_both_marks(tmp_path, tokenizer):
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    bert = BertTokenizerFast(str(tmp_path / "vocab.txt"))
    ids, cut = framed("red green blue small large", bert, 4)
    assert cut
    assert ids.tolist() == [2, bert.vocab["red"], bert.vocab["green"], 3]
    plain, cut = framed("red", tokenizer, 64)
    assert not cut
    assert (plain[0], plain[-1]) == (0, 0)  # a byte-level tokenizer puts no marks of its own


def test_the_decoder_is_shown_what_came_before(pairs):
    data = translated(pairs)
    batch = data.batch(0)
    shown = batch.inputs["decoder_input_ids"]
    width = shown.shape[1]
    assert (shown[:, 0] == data.first).all()
    follows = batch.positions % width + 1 < width
    assert torch.equal(shown.flatten()[batch.positions[follows] + 1], batch.targets[follows])
    ends = torch.cat([batch.owners.diff() != 0, torch.tensor([True])])
    assert (batch.targets[ends] == data.prepare().eos_token_id).all()
    rows = [data.rows["train"][i] for i in data._sampler(0, 0, 1).at(0)]
    assert batch.bytes == sum(len(row.fields[1].encode()) + 1 for row in rows)


def test_further_pairs_leave_out_what_is_held_out(pairs, tmp_path):
    plain = translated(pairs)
    plain.prepare()
    held = plain.rows["test"][0].fields[0]
    more = [{"en": held, "xx": "told"}, {"en": "an unseen source", "xx": "a black box wrote this"}]
    data = translated(pairs, more=lines(tmp_path / "more.jsonl", more))
    data.prepare()
    assert len(data.rows["train"]) == len(plain.rows["train"]) + 1
    assert data.fingerprint != plain.fingerprint


@pytest.mark.parametrize("targets", ["teacher", "interpolated"])
def test_a_teacher_writes_the_training_targets_once(pairs, tmp_path, targets):
    data = translated(pairs, targets=targets, beams=2, sequence_length=20, cache=str(tmp_path / "cache"))
    tokenizer, people = data.prepare(), translated(pairs, sequence_length=20)
    torch.manual_seed(0)
    EncoderDecoder(1, width=16, heads=2).of(data.task).build(tokenizer).save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    people.prepare()
    before = data.fingerprint
    data.meet(str(tmp_path / "teacher"), "teacher.path")
    assert data.fingerprint != before
    assert [row.fields for row in data.rows["test"]] == [row.fields for row in people.rows["test"]]
    assert [row.fields[0] for row in data.rows["train"]] == [row.fields[0] for row in people.rows["train"]]
    assert any(a.hash != b.hash for a, b in zip(data.rows["train"], people.rows["train"], strict=True))
    again = translated(pairs, targets=targets, beams=2, sequence_length=20, cache=str(tmp_path / "cache"))
    again.prepare()
    (kept,) = (tmp_path / "cache" / "written").iterdir()
    stamp = kept.stat().st_mtime_ns
    again.meet(str(tmp_path / "teacher"), "teacher.path")
    assert kept.stat().st_mtime_ns == stamp
    assert [row.hash for row in again.rows["train"]] == [row.hash for row in data.rows["train"]]


def test_the_nearest_of_a_beam():
    assert chrf("a b c", "abc") == 1.0
    assert chrf("", "abc") == 0.0
    assert closest(["a dog", "the cat sat", "the cat sits"], "the cat sat") == 1


def test_sizes_are_told_without_weights(labelled, pairs):
    for data, recipe in (
        (classified(labelled), Encoder(2, 16, 2, architecture="roberta")),
        (translated(pairs), EncoderDecoder(2, 1, 16, 2, architecture="bart")),
    ):
        from distill.folders import known_ids
        from distill.models import check_head, shape

        tokenizer = data.prepare()
        model = recipe.of(data.task).build(tokenizer)
        check_head(model)
        assert shape(model) == recipe.shape(known_ids(tokenizer))
        states = np.concatenate([one.detach().numpy().ravel() for one in model.parameters() if one.dim() == 2])
        assert np.isfinite(states).all()
