"""What a stored teacher is found by (B2): whatever changes its answer misses, one thing at a time.

What changes nothing hits: ``tests/end_to_end/test_cache.py`` tries that from the command line.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from distill.data.collate import Collate
from distill.data.packing import Piece
from distill.signals import store as stores
from distill.signals.kept.draws import KeptDraws
from distill.signals.kept.everything import KeptLogits
from distill.signals.kept.layers import KeptLayers
from distill.signals.kept.likeliest import KeptTopK
from distill.signals.kept.states import KeptStates
from distill.teachers import stored as module
from distill.teachers.live import Live
from distill.teachers.samples import samples
from distill.teachers.stored import Stored
from distill.types import Batch
from tests.teachers.test_stored import LENGTH, pieces


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_llama, tokenizer) -> Path:
    path = tmp_path_factory.mktemp("teacher")
    tiny_llama(width=24, seed=3).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def key(folder: Path, kind=None, vocabulary=300, **live) -> str:
    teacher = Stored(Live(str(folder), **live), kind or KeptTopK(8), str(folder.parent / "cache"))
    teacher.share(vocabulary)
    return stores.key_of(teacher.told)


def _config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _tokenizer(folder: Path, change: Callable[[dict], object]) -> None:
    path = folder / "tokenizer.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def _settings(folder: Path, **changes) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _bytes(folder: Path, change: Callable[[bytearray], object]) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def _flip(data: bytearray) -> None:
    data[-1000] ^= 1


def _other_revision(data: bytearray) -> None:
    data[-4000:-2000] = data[-2000:]


def _rename(told: dict) -> None:
    vocabulary = told["model"]["vocab"]
    vocabulary["unheard"] = vocabulary.pop(min(vocabulary))


def _added(told: dict) -> None:
    told["added_tokens"].append({**told["added_tokens"][0], "id": 299, "content": "<new>"})


TEACHER = {
    "one bit of the weights": lambda f: _bytes(f, _flip),
    "another revision at the same path": lambda f: _bytes(f, _other_revision),
    "a number of the config": lambda f: _config(f, rms_norm_eps=1e-3),
    "its positions": lambda f: _config(f, rope_parameters={"rope_theta": 5000.0, "rope_type": "default"}),
    "an adapter beside the weights": lambda f: shutil.copy(f / "model.safetensors", f / "adapter_model.safetensors"),
    "another weight file": lambda f: shutil.copy(f / "model.safetensors", f / "more.safetensors"),
    "the vocabulary": lambda f: _tokenizer(f, _rename),
    "the merges": lambda f: _tokenizer(f, lambda told: told["model"]["merges"].pop()),
    "an added token": lambda f: _tokenizer(f, _added),
    "the chat template": lambda f: _settings(f, chat_template="{{ messages }}"),
    "the padding side": lambda f: _settings(f, padding_side="left"),
    "the beginning mark": lambda f: _settings(f, bos_token=None),
}
LOADED = {"dtype": {"dtype": "bfloat16"}, "attention": {"attention": "eager"}, "shared ids": {"vocabulary": 299}}
SIGNALS = {
    "top-k": (KeptTopK(8), KeptTopK(9)),
    "stored temperature": (KeptTopK(8), KeptTopK(8, 2.0)),
    "dtype of the store": (KeptStates("float16"), KeptStates("int8")),
    "kind": (KeptStates("float16"), KeptLogits("float16")),
    "layers": (KeptLayers([0]), KeptLayers([1])),
    "the embedding": (KeptLayers([0]), KeptLayers([0], embedding=True)),
    "sampling seed": (KeptDraws(50, 1.0, 0), KeptDraws(50, 1.0, 1)),
    "number of draws": (KeptDraws(50), KeptDraws(51)),
    "temperature of draws": (KeptDraws(50), KeptDraws(50, 2.0)),
}


@pytest.mark.parametrize("name", TEACHER)
def test_another_teacher_misses(folder, tmp_path, name):
    mine = Path(shutil.copytree(folder, tmp_path / "teacher"))
    before = key(mine)
    TEACHER[name](mine)
    assert key(mine) != before


@pytest.mark.parametrize("name", LOADED)
def test_a_teacher_loaded_otherwise_misses(folder, name):
    assert key(folder, **LOADED[name]) != key(folder)


def test_a_quantised_teacher_misses(folder, monkeypatch):
    monkeypatch.setattr("distill.teachers.live.refuse_unsupported", lambda _: None)
    assert len({key(folder, weights=bits) for bits in ("full", "int8", "int4")}) == 3


def test_a_teacher_with_a_merged_adapter_misses(folder, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    shutil.copy(folder / "model.safetensors", adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4}))
    first = key(folder, adapter=str(adapter))
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8}))
    assert len({key(folder), first, key(folder, adapter=str(adapter))}) == 3


@pytest.mark.parametrize("name", SIGNALS)
def test_another_signal_misses(folder, name):
    one, other = SIGNALS[name]
    assert key(folder, one) != key(folder, other)


@pytest.mark.parametrize("where", [stores, module], ids=["format of the shards", "what is kept of a batch"])
def test_another_version_of_the_code_that_matters_misses(folder, monkeypatch, where):
    before = key(folder)
    monkeypatch.setattr(where, "FORMAT", where.FORMAT + 1)
    assert key(folder) != before


def laid(*rows: Piece) -> Batch:
    return Collate(2 * LENGTH, 0, True)([[row] for row in rows])


def names(batch: Batch) -> set[bytes]:
    return {one.span.name + one.check for one in samples(batch)}


def _character(piece: Piece) -> Piece:
    inputs = piece.inputs.copy()
    inputs[0] += 1
    return replace(piece, inputs=inputs)


def _reordered(piece: Piece) -> Piece:
    inputs = piece.inputs.copy()
    inputs[:2] = inputs[1::-1]
    return replace(piece, inputs=inputs)


def _cut(piece: Piece) -> Piece:
    return replace(piece, inputs=piece.inputs[:-1], targets=piece.targets[:-1])


def _prompted(piece: Piece) -> Piece:
    ids = torch.tensor([7, *piece.inputs.tolist()], dtype=torch.int32).numpy()
    return replace(piece, inputs=ids, targets=torch.tensor([9, *piece.targets.tolist()], dtype=torch.int32).numpy())


TEXTS = {
    "one character of the data": _character,
    "the order of the text": _reordered,
    "the greatest length": _cut,
    "the prompt's template": _prompted,
}


@pytest.mark.parametrize("name", TEXTS)
def test_another_text_misses(name):
    piece = pieces(1)[0]
    assert not names(laid(TEXTS[name](piece))) & names(laid(piece))


def test_another_mask_rule_misses():
    batch = laid(pieces(1)[0])
    parts = ("positions", "teacher_positions", "targets", "owners")
    fewer = replace(batch, **{name: getattr(batch, name)[1:] for name in parts})
    assert not names(fewer) & names(batch)


def test_another_part_of_the_text_misses():
    """Training, validation and test hold other documents: none is found under another's name."""
    train, test = names(laid(*pieces(5, seed=0))), names(laid(*pieces(5, seed=1)))
    assert not train & test


def test_order_and_packing_of_samples_hit():
    """The same samples in other rows are the same questions."""
    some = pieces(4)
    packed = Collate(2 * LENGTH, 0, True)([some[2:], some[:2]])
    assert names(packed) == names(laid(*some)) == names(laid(*reversed(some)))


def test_where_the_teacher_lies_and_what_is_said_about_it_hits(folder, tmp_path):
    before = key(folder)
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert key(moved) == before
    (moved / "README.md").write_text("a comment")
    (moved / "generation_config.json").write_text("{}")
    _config(moved, transformers_version="9.9", _name_or_path="x")
    assert key(moved) == before
    memo = str(tmp_path / "memo")
    assert key(moved, cache=memo) == key(moved, cache=memo) == before  # the second time it is remembered
    assert key(moved, KeptStates(), 200) == key(moved, KeptStates())  # the head is whole: the rows are the same
