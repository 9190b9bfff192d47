"""One file of a store: rows that are found by name, and every byte of which is under a checksum.

    8 bytes   magic
    4 bytes   length of the header, little-endian
    32 bytes  sha256 of the header
    header    JSON: format, rows, the index's sha256
    index     ``ROW`` for each row: name, hash of the inputs, checksum, where its bytes lie
    bytes     the rows, one after the other, to the very end of the file

The frame (all but the rows' bytes) is checked when a shard is opened, a row's bytes whenever it is read: memory maps
are read long after that, and a page may rot in between. What a file says about its own sizes is held against its real
size before anything is read by it, so no header makes a reader allocate more than the file has. Nothing in it is
executable: numbers and one small JSON object.

Left out on purpose: compression (``benchmarks/store.py`` says what it would save), and a file that somebody else cuts
short while it is mapped, which ends the process.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill.storage import write_bytes

FORMAT = 1
"""Raised when the same words would be written otherwise."""
MAGIC = b"DISTILL\x01"
NAME, CHECK = 20, 16
ROW = np.dtype(
    [
        ("name", "u1", (NAME,)),
        ("check", "u1", (CHECK,)),
        ("sum", "u1", (8,)),
        ("start", "<u8"),
        ("bytes", "<u4"),
        ("tokens", "<u4"),
    ]
)
LARGEST_HEADER = 4096
SUFFIX = ".shard"


@dataclass(frozen=True)
class Written:
    """One row.

    Attributes:
        name: 20 bytes: whose word it is, and about which of its positions.
        check: 16 bytes: hash of the input ids that it was heard about.
        tokens: supervised positions.
        data: the teacher's word.
    """

    name: bytes
    check: bytes
    tokens: int
    data: bytes


class Damaged(Exception):
    """A shard, or a row of one, that is not what was written. Its rows are asked for again."""


def write(folder: Path, rows: Sequence[Written]) -> Path:
    """A new shard, whole or not there, named by its own content: the same rows in the same order are the same file.

    Raises:
        ResourceStop: the place cannot be written.
    """
    index = np.zeros(len(rows), ROW)
    start = 0
    for entry, row in zip(index, rows, strict=True):
        entry["name"], entry["check"] = _bytes(row.name, NAME), _bytes(row.check, CHECK)
        entry["sum"] = _bytes(_sum(row.data), 8)
        entry["start"], entry["bytes"], entry["tokens"] = start, len(row.data), row.tokens
        start += len(row.data)
    listed = index.tobytes()
    told = {"format": FORMAT, "rows": len(rows), "index": hashlib.sha256(listed).hexdigest()}
    header = json.dumps(told, sort_keys=True).encode()
    frame = MAGIC + len(header).to_bytes(4, "little") + hashlib.sha256(header).digest() + header + listed
    whole = b"".join([frame, *(row.data for row in rows)])
    path = folder / (hashlib.sha256(frame).hexdigest()[:32] + SUFFIX)
    write_bytes(path, whole)
    return path


class Shard:
    """An opened shard: its index is known to be right, its rows are checked as they are read.

    Args:
        path: of the file.

    Raises:
        Damaged: it is no shard, was cut, or its frame has another checksum.
        OSError: it cannot be opened; another process may just have removed it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index, self._data = _opened(path)
        self.size = len(self._data)  # of the rows, without the frame

    def __len__(self) -> int:
        return len(self.index)

    @property
    def names(self) -> list[bytes]:
        flat = self.index["name"].tobytes()
        return [flat[start : start + NAME] for start in range(0, len(flat), NAME)]

    def check(self, row: int) -> bytes:
        """The hash of the inputs that a row was heard about."""
        return self.index["check"][row].tobytes()

    def tokens(self, row: int) -> int:
        return int(self.index["tokens"][row])

    def read(self, row: int) -> memoryview:
        """A row's bytes, in the map: nothing is copied.

        Raises:
            Damaged: they have another checksum.
        """
        start, size = int(self.index["start"][row]), int(self.index["bytes"][row])
        data = self._data[start : start + size]
        if _sum(data) != self.index["sum"][row].tobytes():
            raise Damaged(f"row {row} has another checksum")
        return data

    def written(self, row: int) -> Written:
        """A whole row again, checked."""
        entry = self.index[row]
        return Written(entry["name"].tobytes(), self.check(row), self.tokens(row), bytes(self.read(row)))


def _opened(path: Path) -> tuple[np.ndarray, memoryview]:
    """The index, and the map of the rows' bytes."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(44)
        if len(head) < 44 or head[:8] != MAGIC:
            raise Damaged("it does not begin as a shard does")
        length = int.from_bytes(head[8:12], "little")
        if length > min(LARGEST_HEADER, size):
            raise Damaged("its header is longer than any")
        header = file.read(length)
        if hashlib.sha256(header).digest() != head[12:44]:
            raise Damaged("its header has another checksum")
        rows, digest = _told(header)
        if rows * ROW.itemsize > size - 44 - length:
            raise Damaged("it is shorter than it says")
        listed = file.read(rows * ROW.itemsize)
        if hashlib.sha256(listed).hexdigest() != digest:
            raise Damaged("its index has another checksum")
        index = np.frombuffer(listed, ROW)
        begin = 44 + length + len(listed)
        _check_places(index, size - begin)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return index, memoryview(mapped)[begin:]


def _told(header: bytes) -> tuple[int, str]:
    """Rows and the index's checksum."""
    try:
        told = json.loads(header)
        rows, digest, form = told["rows"], told["index"], told["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise Damaged(f"its header is no header ({type(problem).__name__})") from None
    if form != FORMAT or type(rows) is not int or rows < 0 or type(digest) is not str:
        raise Damaged("its header says something else")
    return rows, digest


def _check_places(index: np.ndarray, size: int) -> None:
    """Rows fill the rest of the file, each beginning where the one before ends."""
    ends = np.cumsum(index["bytes"], dtype=np.uint64)
    starts = np.concatenate([np.zeros(1, np.uint64), ends[:-1]])[: len(index)]
    if (starts != index["start"]).any() or (int(ends[-1]) if len(index) else 0) != size:
        raise Damaged("its rows are not as long as the file")


def _sum(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).digest()[:8]


def _bytes(data: bytes, length: int) -> np.ndarray:
    assert len(data) == length
    return np.frombuffer(data, "u1")
