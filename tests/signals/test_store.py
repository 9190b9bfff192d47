"""A store under all that happens to a disk: flips, truncations, hostile files (B4, B8)."""

import json
import os
import pickle
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from distill.errors import BadInput, ResourceStop
from distill.signals.shard import MAGIC, ROW, Damaged, Shard, Written, write
from distill.signals.store import MANY_SMALL, Store
from distill.storage import write_folder, write_json
from distill.types import Head

TOLD = {"teacher": "t", "signal": {"kind": "test"}}


def row(number: int, size: int = 200, check: int = 0) -> Written:
    chance = random.Random(number)
    return Written(number.to_bytes(20, "big"), check.to_bytes(16, "big"), 3, chance.randbytes(size))


def filled(root: Path, numbers, shard_bytes=1 << 20) -> Store:
    store = Store(root, TOLD, shard_bytes)
    with store.writing():
        store.append([row(number) for number in numbers])
    return store


def read(store: Store, number: int) -> bytes | None:
    found = store.read(row(number).name, row(number).check)
    return None if found is None else bytes(found[0])


def whole(store: Store, numbers) -> list[int]:
    """Those that are there; each of them must be right."""
    there = []
    for number in numbers:
        data = read(store, number)
        if data is not None:
            assert data == row(number).data
            there.append(number)
    return there


def test_rows_come_back_in_this_and_another_process(tmp_path):
    store = filled(tmp_path, range(10))
    assert whole(store, range(12)) == list(range(10))
    other = Store(tmp_path, TOLD)
    assert whole(other, range(12)) == list(range(10))
    with store.writing():
        store.append([row(10)])
    assert read(other, 10) is None
    other.refresh()
    assert read(other, 10) == row(10).data


def test_another_key_is_another_folder(tmp_path):
    filled(tmp_path, range(3))
    assert read(Store(tmp_path, {**TOLD, "teacher": "u"}), 0) is None


def test_equal_rows_are_an_equal_file(tmp_path):
    one, two = (write(tmp_path / name, [row(1), row(2)]) for name in "ab")
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()


def test_a_row_about_other_input_ids_is_refused(tmp_path):
    store = filled(tmp_path, range(3))
    with pytest.raises(BadInput, match="not those that the teacher was asked about"):
        store.read(row(1).name, row(1, check=7).check)


def test_the_head_is_kept_once_and_found_out_when_damaged(tmp_path):
    store = filled(tmp_path, [1])
    assert store.head() is None
    kept = Head(torch.randn(30, 4), torch.randn(30), 0.5, 20.0)
    store.keep_head(kept)
    head = Store(tmp_path, TOLD).head()
    assert head is not None
    assert head.bias is not None
    assert kept.bias is not None
    assert torch.equal(head.weight, kept.weight)
    assert torch.equal(head.bias, kept.bias)
    assert (head.scale, head.softcap) == (0.5, 20.0)
    file = store.folder / "head" / "head.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    assert store.head() is None
    assert store.damaged == 1


def test_many_small_shards_become_few(tmp_path):
    store = Store(tmp_path, TOLD, shard_bytes=8000)
    reader = Store(tmp_path, TOLD, shard_bytes=8000)
    for number in range(MANY_SMALL + 5):
        with store.writing():
            store.append([row(number)])
        if number == MANY_SMALL - 10:
            reader.refresh()
    numbers = range(MANY_SMALL + 5)
    assert len(list((store.folder / "shards").glob("*.shard"))) < 10
    assert whole(store, numbers) == list(numbers)
    assert len(whole(reader, numbers)) == MANY_SMALL - 9  # what it had mapped it still has
    reader.refresh()
    assert whole(reader, numbers) == list(numbers)
    assert store.damaged == reader.damaged == 0


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("what", [b"", pickle.dumps({"weight": print}), b"\xff" * 4000, (10**9).to_bytes(8, "little")])
def test_a_hostile_head_is_no_head(tmp_path, what):
    """Signed as it should be, but no tensors."""

    def fill(draft: Path) -> None:
        (draft / "head.safetensors").write_bytes(what)
        write_json(draft / "head.json", {"scale": 1.0, "softcap": None})

    store = filled(tmp_path, [1])
    write_folder(store.folder / "head", fill)
    assert store.head() is None
    assert store.damaged == 1


# ------------------------------------------------------------------------------------------------------ B4: bit-rot


def damages(count: int) -> list[tuple[str, int]]:
    return [(kind, seed) for seed in range(count // 3) for kind in ("flip", "cut", "zero")]


def damaged(data: bytes, kind: str, seed: int) -> bytes:
    chance = random.Random(seed)
    if kind == "cut":
        return data[: chance.randrange(len(data))]
    changed = bytearray(data)
    if kind == "flip":
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    else:
        start = chance.randrange(len(data))
        changed[start : start + 4096] = bytes(len(changed[start : start + 4096]))
    return bytes(changed)


def found(tmp_path: Path, kind: str, seed: int) -> None:
    """One damaged shard of three is found; the rows of the others are all there, and it is made again."""
    store = filled(tmp_path, range(20))
    for start in (20, 40):
        with store.writing():
            store.append([row(number) for number in range(start, start + 20)])
    path = next(shard.path for shard in store._shards.values() if row(25).name in shard.names)
    path.write_bytes(damaged(path.read_bytes(), kind, seed))
    again = Store(tmp_path, TOLD)
    assert again.find_faults() or again.damaged == 1
    assert whole(again, range(60)) == [*range(20), *range(40, 60)]
    assert not path.exists()
    with again.writing():
        again.append([row(number) for number in range(20, 40)])
    assert whole(again, range(60)) == list(range(60))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("kind", "seed"), damages(30))
def test_rot_is_found_on_reading(tmp_path, kind, seed):
    found(tmp_path, kind, seed)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seed"), damages(330)[30:])
def test_rot_is_found_on_reading_every_time(tmp_path, kind, seed):
    found(tmp_path, kind, seed)


def test_a_page_that_rots_under_an_open_store_is_found(tmp_path):
    store = filled(tmp_path, range(20))
    path = next(iter(store._shards.values())).path
    with path.open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(bytes(50))
    assert whole(store, range(20)) == list(range(19))  # the last one is damaged
    assert whole(store, range(20)) == []  # and the shard goes whole: its disk is not to be trusted
    assert store.damaged == 1


# -------------------------------------------------------------------------------------------- B8: nothing in it runs


class Bomb:
    def __reduce__(self):
        return (Path("/tmp/distill-was-here").write_text, ("x",))


def _framed(header: bytes, rest: bytes = b"") -> bytes:
    import hashlib

    return MAGIC + len(header).to_bytes(4, "little") + hashlib.sha256(header).digest() + header + rest


def _header(**told) -> bytes:
    return json.dumps({"format": 1, "rows": 0, "index": "", **told}).encode()


def _places(*entries: tuple[int, int], size: int = 0) -> bytes:
    import hashlib

    index = np.zeros(len(entries), ROW)
    for place, (start, length) in zip(index, entries, strict=True):
        place["start"], place["bytes"] = start, length
    digest = hashlib.sha256(index.tobytes()).hexdigest()
    return _framed(_header(rows=len(entries), index=digest), index.tobytes() + bytes(size))


HOSTILE = {
    "pickle": pickle.dumps(Bomb()),
    "torch": b"PK\x03\x04" + pickle.dumps(Bomb()) * 3,
    "npy of objects": b"\x93NUMPY\x01\x00" + pickle.dumps(Bomb()),
    "empty": b"",
    "only magic": MAGIC,
    "another magic": b"DISTILL\x02" + bytes(100),
    "header of 4 GB": MAGIC + b"\xff\xff\xff\xff" + bytes(100),
    "header past the end": MAGIC + (4000).to_bytes(4, "little") + bytes(100),
    "header unsigned": MAGIC + (10).to_bytes(4, "little") + bytes(100),
    "header deep": _framed(b"[" * 4000),
    "header no JSON": _framed(b"\xff\xfe"),
    "header a list": _framed(b"[1, 2]"),
    "header without rows": _framed(b'{"format": 1}'),
    "another format": _framed(_header(format=2)),
    "rows of another kind": _framed(_header(rows="many")),
    "rows below zero": _framed(_header(rows=-1)),
    "a trillion rows": _framed(_header(rows=10**12)),
    "rows beyond 64 bits": _framed(_header(rows=10**30)),
    "index unsigned": _framed(_header(rows=1, index="00"), bytes(ROW.itemsize)),
    "row past the end": _places((0, 4_000_000_000), size=10),
    "rows that overlap": _places((0, 5), (0, 5), size=10),
    "bytes of no row": _places((0, 5), size=10),
    "starts that wrap": _places((2**64 - 5, 5), size=5),
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_and_nothing_in_it_runs(tmp_path, name):
    """Nor does a reader take more memory than twice the file, whatever that says about itself."""
    store = filled(tmp_path, range(5))
    (store.folder / "shards" / f"{'0' * 32}.shard").write_bytes(HOSTILE[name])
    tracemalloc.start()
    with pytest.raises(Damaged):
        Shard(store.folder / "shards" / f"{'0' * 32}.shard")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 2 * len(HOSTILE[name]) + (64 << 10)
    again = Store(tmp_path, TOLD)
    assert whole(again, range(5)) == list(range(5))
    assert again.damaged == 1
    assert not Path("/tmp/distill-was-here").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResourceStop, match="cannot be written"):
        Store(tmp_path / "file" / "below", TOLD)
