"""What a teacher said, on disk: rows found by what they are about, never by when they were asked.

    <cache>/signals/<key>/store.json       what the key is the hash of
    <cache>/signals/<key>/head/            the teacher's head, once, signed (of a kind that needs it)
    <cache>/signals/<key>/shards/*.shard   rows; new ones are new files, nothing is ever changed in place
    <cache>/signals/.locks/<key>.lock      held while something is asked and written
    <cache>/signals/.locks/<key>.users/    one lock for each process that has the store open

The key is the sha256 of the canonical JSON of everything that changes the answer. A row's name is the hash of its
sample's content and of its supervised positions, so order, packing, batch size, accumulation, workers and ranks do not
matter; beside it lies the hash of the input ids that the teacher was shown, which is compared on every read.

Locks are advisory file locks of the kernel, which a killed process loses at once; where a file system has none,
``filelock`` makes files instead and takes over those of dead processes.

Left out on purpose: eviction while something runs (``distill cache prune`` does it when somebody asks).
"""

import hashlib
import json
import logging
import os
import secrets
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from distill.errors import BadInput
from distill.signals.shard import FORMAT, SUFFIX, Damaged, Shard, Written, write
from distill.storage import find_fault, read_json, sweep_drafts, unwritable, write_folder, write_json
from distill.types import Head

log = logging.getLogger(__name__)

SHARD_BYTES = 64 << 20
MANY_SMALL = 64
"""Shards below a quarter of the full size that are put together once there are so many: a training that fills a store
on the way writes one for every batch."""
HEAD, TOLD, SHARDS, LOCKS = "head", "store.json", "shards", ".locks"


def key_of(told: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of what decides a store's rows, with the format that they are written in."""
    whole = {"format": FORMAT, **told}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """The rows of one key.

    Args:
        root: the folder of all stores.
        told: what decides the rows, as plain values.
        shard_bytes: of a shard at most, one batch more or less.
        source: where the teacher lies, for whoever lists the stores; no part of the key.

    Attributes:
        damaged: shards found to be damaged and removed; their rows are missing again.

    Raises:
        ResourceStop: the folder cannot be written.
    """

    def __init__(
        self, root: Path, told: Mapping[str, Any], shard_bytes: int = SHARD_BYTES, source: str | None = None
    ) -> None:
        self.key, self.told, self.shard_bytes = key_of(told), dict(told), shard_bytes
        self.folder = root / self.key[:32]
        self.damaged = 0
        self._shards: dict[str, Shard] = {}
        self._places: dict[bytes, tuple[Shard, int]] = {}
        locks = root / LOCKS
        try:
            (locks / f"{self.folder.name}.users").mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise unwritable(locks, problem) from problem
        self._lock = FileLock(locks / f"{self.folder.name}.lock")
        self._use = FileLock(locks / f"{self.folder.name}.users" / f"{os.getpid()}-{secrets.token_hex(4)}.lock")
        with self.writing():
            self._use.acquire()
            weakref.finalize(self, _leave, self._use)
            (self.folder / SHARDS).mkdir(parents=True, exist_ok=True)
            if not (self.folder / TOLD).exists():
                about = {"format": FORMAT, "key": self.key, "source": source, "told": self.told}
                write_json(self.folder / TOLD, about)
            os.utime(self.folder / TOLD)  # when it was last used, for whoever prunes

    # ---------------------------------------------------------------------------------------------------- reading

    def __len__(self) -> int:
        return len(self._places)

    @property
    def tokens(self) -> int:
        """Supervised tokens of all rows."""
        return sum(int(shard.index["tokens"].sum()) for shard in self._shards.values())

    def __contains__(self, name: bytes) -> bool:
        return name in self._places

    def read(self, name: bytes, check: bytes) -> tuple[memoryview, int] | None:
        """A row and its tokens; None if it is not there, or was and is damaged.

        Raises:
            BadInput: it was heard about other input ids: the data calls two different texts by one name.
        """
        place = self._places.get(name)
        if place is None:
            return None
        shard, row = place
        if shard.check(row) != check:
            raise BadInput(
                "data",
                "a sample's input ids are not those that the teacher was asked about under its name",
                value=name.hex()[:12],
                remedy="its content hash must cover everything the teacher is shown",
            )
        try:
            return shard.read(row), shard.tokens(row)
        except Damaged as fault:
            self._drop(shard.path, fault)
            return None

    def refresh(self) -> None:
        """Look for what other processes have written since."""
        for path in sorted((self.folder / SHARDS).glob(f"*{SUFFIX}")):
            if path.name in self._shards:
                continue
            try:
                self._take(Shard(path))
            except FileNotFoundError:  # put together with others, or pruned, a moment ago
                continue
            except Damaged as fault:
                self._drop(path, fault)
            except OSError as problem:
                raise unwritable(path, problem) from problem

    def head(self) -> Head | None:
        """The teacher's, if it is there and whole."""
        folder = self.folder / HEAD
        if not folder.exists():
            return None
        if fault := find_fault(folder):
            log.warning("%s is damaged (%s); it is written again", folder, fault)
            self.damaged += 1
            return None
        try:
            tensors, told = load_file(folder / "head.safetensors"), read_json(folder / "head.json") or {}
            return Head(tensors["weight"], tensors.get("bias"), told["scale"], told["softcap"])
        except (SafetensorError, BadInput, KeyError, OSError) as problem:  # signed, so somebody meant it
            log.warning("%s holds no head (%s); it is written again", folder, type(problem).__name__)
            self.damaged += 1
            return None

    # ---------------------------------------------------------------------------------------------------- writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within, no other process asks the teacher for this store; what others wrote before is known."""
        try:
            self._lock.acquire()
        except OSError as problem:
            raise unwritable(Path(self._lock.lock_file), problem) from problem
        try:
            self.refresh()
            yield
        finally:
            self._lock.release()

    def append(self, rows: Sequence[Written]) -> None:
        """Write rows as a new shard; within ``writing``.

        Raises:
            ResourceStop: the disk is full. What was written before stays.
        """
        if not rows:
            return
        sweep_drafts(self.folder / SHARDS)
        self._take(Shard(write(self.folder / SHARDS, rows)))
        small = [shard for shard in self._shards.values() if shard.size < self.shard_bytes // 4]
        if len(small) >= MANY_SMALL:
            self._unite(small)

    def keep_head(self, head: Head) -> None:
        """Write the head; within ``writing``."""
        tensors = {"weight": head.weight.detach().cpu().contiguous()}
        tensors |= {} if head.bias is None else {"bias": head.bias.detach().cpu().contiguous()}

        def fill(draft: Path) -> None:
            save_file(tensors, draft / "head.safetensors")
            write_json(draft / "head.json", {"scale": head.scale, "softcap": head.softcap})

        write_folder(self.folder / HEAD, fill)

    def find_faults(self) -> dict[str, str]:
        """Read every byte: what is wrong with each damaged shard, and with the head."""
        found = {}
        for shard in list(self._shards.values()):
            try:
                for row in range(len(shard)):
                    shard.read(row)
            except Damaged as fault:
                found[shard.path.name] = str(fault)
                self._drop(shard.path, fault)
        if (self.folder / HEAD).exists() and (fault := find_fault(self.folder / HEAD)):
            found[HEAD] = fault
        return found

    def _take(self, shard: Shard) -> None:
        self._shards[shard.path.name] = shard
        for row, name in enumerate(shard.names):
            self._places[name] = (shard, row)

    def _drop(self, path: Path, fault: Damaged) -> None:
        """A damaged shard goes: its rows are missing, and are asked for again. A newer file of its name is not its."""
        log.warning("%s is damaged (%s); what it held is asked for again", path, str(fault))
        self.damaged += 1
        self._forget(path)
        path.unlink(missing_ok=True)

    def _forget(self, path: Path) -> None:
        if gone := self._shards.pop(path.name, None):
            self._places = {name: place for name, place in self._places.items() if place[0] is not gone}

    def _unite(self, small: Sequence[Shard]) -> None:
        """Small shards as few large ones. Written before the old ones go: whoever is killed in between leaves rows
        twice, which are equal."""
        rows: dict[bytes, Written] = {}
        for shard in small:
            try:
                rows |= {one.name: one for one in map(shard.written, range(len(shard)))}
            except Damaged as fault:
                self._drop(shard.path, fault)
        ordered = [rows[name] for name in sorted(rows)]  # equal rows, however they came, are equal files
        made = [Shard(write(self.folder / SHARDS, part)) for part in _parts(ordered, self.shard_bytes)]
        for shard in small:
            if shard.path.name not in {one.path.name for one in made}:
                self._forget(shard.path)
                shard.path.unlink(missing_ok=True)
        for shard in made:
            self._take(shard)


def _parts(rows: Sequence[Written], size: int) -> Iterator[list[Written]]:
    """Rows in runs of about ``size`` bytes."""
    part: list[Written] = []
    held = 0
    for row in rows:
        part.append(row)
        held += len(row.data)
        if held >= size:
            yield part
            part, held = [], 0
    if part:
        yield part


def _leave(use: FileLock) -> None:
    use.release()
    Path(use.lock_file).unlink(missing_ok=True)
