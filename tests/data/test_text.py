"""The data module: what a run is given, from documents to batches, and how it goes on after a stop."""

import hashlib
import json
from itertools import islice
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from distill.data.text import TextData
from distill.data.tokenizer import TrainedBPE
from distill.errors import BadInput


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """400 rows, some of them of no use."""
    place = tmp_path_factory.mktemp("data") / "rows.jsonl"
    rows = [{"text": f"Row {i}: " + "the teacher reads and the student writes. " * (i % 13 + 1)} for i in range(400)]
    extra = [{"text": None}, {"text": " "}, rows[0]]
    place.write_text("".join(json.dumps(row) + "\n" for row in rows + extra))
    return str(place)


@pytest.fixture(scope="module")
def make(path):
    def made(**changed) -> TextData:
        plain = {"path": path, "tokenizer": TrainedBPE(300), "batch_size": 4, "sequence_length": 32}
        return TextData(**(plain | {"validation": 0.1, "test": 0.1, "share": 0.5} | changed))

    return made


@pytest.fixture(scope="module")
def data(make):
    found = make()
    found.prepare()
    return found


def told(batch) -> tuple:
    """Everything in a batch, for comparison."""
    tensors = (batch.positions, batch.targets, batch.owners, *batch.inputs.values())
    return (*(tuple(tensor.flatten().tolist()) for tensor in tensors), batch.samples, batch.bytes)


# ----------------------------------------------------------------------------------------------------------- account


@pytest.mark.parametrize(
    "changed", [{}, {"share": 0.1}, {"evaluation_tokens": 100}, {"validation": 0.0}, {"packing": False}]
)
def test_every_row_is_used_or_counted(make, changed):
    facts = make(**changed)
    facts.prepare()
    facts = facts.facts
    assert facts.rows == sum(split.documents for split in facts.splits.values()) + sum(facts.dropped.values()) == 403
    assert {"null", "empty", "duplicate"} <= set(facts.dropped)
    assert any("rows 403 = " in line for line in facts.lines())
    json.dumps(facts.plain())


def test_facts_are_those_of_the_batches(data):
    for name, batches in (
        ("train", data.train_batches()),
        ("validation", data.validation_batches()),
        ("test", data.test_batches()),
    ):
        facts = data.facts.splits[name]
        assert sum(batch.tokens for batch in batches) == facts.tokens
        assert sum(batch.bytes for batch in batches) == facts.bytes
        assert sum(len(batch.samples) for batch in batches) == facts.pieces
        assert sum(len(batch.inputs["input_ids"]) for batch in batches) == facts.rows
        assert facts.tokens_truncated == 0


def test_bytes_are_those_of_the_documents(data):
    expected = sum(len(document.text.encode()) for document in data.documents.test)
    assert data.facts.splits["test"].bytes == expected


def test_packing_fills_rows(make):
    packed, unpacked = make(), make(packing=False)
    for each in (packed, unpacked):
        each.prepare()
    assert packed.facts.splits["train"].fill > 0.95 > unpacked.facts.splits["train"].fill
    assert packed.facts.splits["train"].tokens == unpacked.facts.splits["train"].tokens
    assert {s for b in packed.train_batches() for s in b.samples} == {
        s for b in unpacked.train_batches() for s in b.samples
    }


def test_evaluation_stops_where_it_is_told(make):
    whole, part = make(), make(evaluation_tokens=300)
    for each in (whole, part):
        each.prepare()
    for name in ("validation", "test"):
        assert 300 <= part.facts.splits[name].tokens < 300 + 32 < whole.facts.splits[name].tokens
    assert part.facts.dropped["beyond_evaluation_tokens"] > 0
    assert part.facts.splits["train"] == whole.facts.splits["train"]


# ---------------------------------------------------------------------------------------------------- shares, splits


def test_shares_are_nested_and_evaluate_on_the_same_text(make):
    samples, tests, tokenizers = [], [], []
    for share in (0.1, 0.5, 1.0):
        each = make(share=share)
        tokenizers.append(each.prepare().backend_tokenizer.to_str())
        samples.append({sample for batch in each.train_batches() for sample in batch.samples})
        tests.append([told(batch) for batch in (*each.test_batches(), *each.validation_batches())])
    assert samples[0] < samples[1] < samples[2]
    assert tests[0] == tests[1] == tests[2]
    assert len(set(tokenizers)) == 1


def test_no_test_document_is_trained_on(data):
    train = {document.text for document in data.documents.pool}
    held_out = {document.text for document in (*data.documents.test, *data.documents.validation)}
    assert not train & held_out


# -------------------------------------------------------------------------------------------------------- the stream


def test_a_batch_is_a_function_of_seed_and_step(make, data):
    assert [told(batch) for batch in islice(data.stream(7), 5)] == [told(data.batch(step)) for step in range(7, 12)]
    again = make()
    assert told(again.batch(9)) == told(data.batch(9))
    assert told(make(seed=1).batch(9)) != told(data.batch(9))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(make, data, workers):
    stream = islice(make(workers=workers).stream(3), 12)
    assert [told(batch) for batch in stream] == [told(data.batch(step)) for step in range(3, 15)]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_step_is_the_same_cut_in_any_way(make, size):
    """Optimiser steps of 8 rows: the same samples in the same order."""
    whole, cut = make(batch_size=8), make(batch_size=size)
    for step in range(4):
        pieces = [sample for i in range(8 // size) for sample in cut.batch(step * 8 // size + i).samples]
        assert tuple(pieces) == whole.batch(step).samples


def test_ranks_share_a_step(data, make):
    whole = make(batch_size=8)
    for step in range(3):
        assert sum((data.batch(step, rank, 2).samples for rank in range(2)), ()) == whole.batch(step).samples
    stream = data.stream(2, rank=1, world_size=2)
    assert told(next(iter(stream))) == told(data.batch(2, 1, 2))


def test_iterating_draws_no_random_number_of_the_run(data):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    next(iter(data.stream()))
    assert torch.equal(torch.get_rng_state(), before)


def test_ranks_divide_the_test(data):
    parts = [data.test_batches(rank, 3) for rank in range(3)]
    assert sorted(told(batch) for part in parts for batch in part) == sorted(told(b) for b in data.test_batches())
    assert [told(b) for b in data.test_batches()[1:3]] == [told(data.test_batches()[i]) for i in (1, 2)]


# -------------------------------------------------------------------------------------------------------- tokenizers


def test_a_models_own_tokenizer_is_used(make, tokenizer):
    own = make(tokenizer=None)
    assert own.prepare(tokenizer) is tokenizer
    assert own.prepare() is tokenizer
    assert own.batch(0).tokens > 0


def test_another_tokenizer_is_another_preparation(make, tokenizer):
    both = make()
    before = both.prepare(), told(both.batch(0)), both.fingerprint
    both.prepare(tokenizer)
    assert both.tokenizer is tokenizer
    assert told(both.batch(0)) != before[1]
    assert both.fingerprint != before[2]


def test_neither_tokenizer_nor_recipe_is_refused(make):
    with pytest.raises(BadInput, match=r"data\.tokenizer: neither"):
        make(tokenizer=None).prepare()


# ------------------------------------------------------------------------------------------------------- fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        {"share": 0.4},
        {"validation": 0.2},
        {"test": 0.2},
        {"sequence_length": 16},
        {"packing": False},
        {"evaluation_tokens": 50},
        {"tokenizer": TrainedBPE(290)},
    ],
)
def test_what_changes_the_data_changes_the_fingerprint(make, data, changed):
    assert make(**changed).fingerprint != data.fingerprint


@pytest.mark.parametrize("changed", [{"seed": 3}, {"batch_size": 7}, {"workers": 2}, {"field": "text"}])
def test_what_does_not_leaves_it(make, data, changed):
    assert make(**changed).fingerprint == data.fingerprint


def test_one_character_or_another_order_changes_it_and_another_place_does_not(make, data, path, tmp_path):
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    edits = {
        "same": lines,
        "character": [lines[0].replace("Row", "row"), *lines[1:]],
        "order": [lines[1], lines[0], *lines[2:]],
    }
    found = {}
    for name, rows in edits.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
        found[name] = make(path=str(tmp_path / f"{name}.jsonl"), cache=str(tmp_path / "cache")).fingerprint
    assert found["same"] == data.fingerprint
    assert len(set(found.values())) == 3


# ----------------------------------------------------------------------------------------------------------- prompts


def test_prompts_are_beginnings_of_test_documents(data):
    prompts = data.prompts(3)
    assert len(prompts) == 3
    for prompt in prompts:
        documents = [document.text for document in data.documents.test if document.text.startswith(prompt.text)]
        assert any(text.startswith(prompt.text + prompt.continuation) for text in documents)
        assert prompt.ids[0] == data.tokenizer.bos_token_id
        assert data.tokenizer.decode(prompt.ids[1:]) == prompt.text
        assert prompt.continuation
    assert prompts == data.prompts(3)


def test_short_documents_give_short_prompts(make, tmp_path):
    (tmp_path / "short.jsonl").write_text("".join(f'{{"text": "日本 {i}"}}\n' for i in range(60)))
    short = make(path=str(tmp_path / "short.jsonl"))
    found = short.prompts(2)
    assert len(found) == 2
    for prompt in found:
        assert any(d.text.startswith(prompt.text + prompt.continuation) for d in short.documents.test)
        assert prompt.text
        assert prompt.continuation


# ----------------------------------------------------------------------------------------------------------- sources


def test_two_sources_are_refused():
    with pytest.raises(BadInput, match=r"data\.path, data\.name, data\.sources: notes\.txt, org/set: two sources"):
        TextData(path="notes.txt", name="org/set")


def test_without_a_source_it_is_the_documentation_inside_python(cache):
    found = TextData(tokenizer=TrainedBPE(1024), share=0.06, cache=str(cache))
    found.prepare()
    facts = found.facts
    assert "Python" in facts.source
    assert 10_000 < facts.splits["train"].tokens < 80_000
    assert facts.splits["train"].fill > 0.98
    assert facts.vocabulary == 1024


def test_a_folder_read_as_a_data_set(tmp_path, path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text(Path(path).read_text(encoding="utf-8"))
    found = TextData(name=str(tmp_path / "set"), tokenizer=TrainedBPE(300), cache=str(tmp_path / "cache"))
    assert found.corpus.sha256 == TextData(path=path).corpus.sha256


# --------------------------------------------------------------------------------------------------------- Lightning


class Recorder(pl.LightningModule):
    """Writes down the samples of every micro-batch that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: dict[str, list[tuple[str, ...]]] = {"train": [], "validation": [], "test": []}

    def training_step(self, batch, index):
        self.seen["train"].append(batch.samples)
        return self.weight.sum() * batch.tokens

    def validation_step(self, batch, index):
        self.seen["validation"].append(batch.samples)

    def test_step(self, batch, index):
        self.seen["test"].append(batch.samples)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def trained(data, tmp_path, steps, accumulated) -> Recorder:
    recorder = Recorder()
    trainer = pl.Trainer(
        max_steps=steps,
        accumulate_grad_batches=accumulated,
        accelerator="cpu",
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        default_root_dir=tmp_path,
    )
    trainer.fit(recorder, datamodule=data)
    return recorder


@pytest.mark.parametrize(("workers", "accumulated"), [(0, 1), (0, 2), (2, 2)])
def test_lightning_sees_the_stream_and_goes_on_where_it_stopped(make, data, tmp_path, workers, accumulated):
    whole = trained(make(workers=workers), tmp_path, 12, accumulated).seen["train"]
    assert whole == [data.batch(step).samples for step in range(12 * accumulated)]
    rest = make(workers=workers)
    rest.start = 5 * accumulated
    assert trained(rest, tmp_path, 7, accumulated).seen["train"] == whole[5 * accumulated :]


def test_lightning_sees_the_whole_evaluation(make, tmp_path):
    recorder = Recorder()
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(**options, enable_checkpointing=False, default_root_dir=tmp_path)
    data = make()
    trainer.validate(recorder, datamodule=data, verbose=False)
    trainer.test(recorder, datamodule=data, verbose=False)
    assert recorder.seen["validation"] == [batch.samples for batch in data.validation_batches()]
    assert recorder.seen["test"] == [batch.samples for batch in data.test_batches()]


def test_a_sample_hash_is_of_the_ids_the_model_is_shown(data):
    batch = data.batch(0)
    ids = batch.inputs["input_ids"].flatten()[batch.positions]
    for index, sample in enumerate(batch.samples):
        shown = ids[batch.owners == index].to(torch.int32).numpy().astype("<i4").tobytes()
        assert hashlib.sha256(shown).hexdigest() == sample
