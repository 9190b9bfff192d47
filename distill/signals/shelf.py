"""All stores of a cache folder, as somebody sees them who looks after the disk.

A store is removed whole or not at all, and never while a process has it open: each that does holds a lock of its own,
which is tried here, and none can open it while it is being removed, for that takes the store's lock too.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from distill.errors import BadInput
from distill.signals.store import LOCKS, TOLD
from distill.storage import read_json


@dataclass(frozen=True)
class Shelved:
    """One store.

    Attributes:
        folder: its own.
        told: what its key is made of; empty if that file is damaged.
        source: where the teacher was found when the store was made.
        bytes: on disk, the head included.
        used: when a process last opened it, seconds since the epoch.
    """

    folder: Path
    told: Mapping[str, Any]
    source: str
    bytes: int
    used: float

    def in_use(self) -> bool:
        """Whether a living process has it open."""
        users = self.folder.parent / LOCKS / f"{self.folder.name}.users"
        return any(_held(lock) for lock in sorted(users.glob("*.lock")))

    def remove(self) -> bool:
        """Delete it, unless somebody has it open; whether it is gone."""
        lock = FileLock(self.folder.parent / LOCKS / f"{self.folder.name}.lock")
        try:
            with lock.acquire(timeout=0):
                if self.in_use():
                    return False
                # out of the way first: a half removed store must not be found under its name
                aside = self.folder.with_name(f".{self.folder.name}.removed")
                shutil.rmtree(aside, ignore_errors=True)
                self.folder.rename(aside)
                shutil.rmtree(aside, ignore_errors=True)
        except Timeout:
            return False
        return True


def shelf(root: Path) -> list[Shelved]:
    """Every store below a folder, the last used first."""
    found = [_seen(path.parent) for path in root.glob(f"*/{TOLD}")]
    return sorted(found, key=lambda store: -store.used)


def stale(found: Sequence[Shelved], days: float | None, most: float | None) -> list[Shelved]:
    """What may go: unused for longer than ``days``; then the longest unused, until the rest has ``most`` bytes."""
    old = [store for store in found if days is not None and time.time() - store.used > days * 86400]
    kept = [store for store in found if store not in old]
    while most is not None and kept and sum(store.bytes for store in kept) > most:
        old.append(kept.pop())  # the longest unused is the last
    return old


def _seen(folder: Path) -> Shelved:
    try:
        about = read_json(folder / TOLD) or {}
    except BadInput:  # damaged: still to be listed, and to be removed
        about = {}
    told, source = about.get("told"), about.get("source")
    sizes = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a writer is at work
            sizes.append(path.stat().st_size if path.is_file() else 0)
    used = (folder / TOLD).stat().st_mtime
    return Shelved(folder, told if isinstance(told, dict) else {}, str(source or "unknown"), sum(sizes), used)


def _held(path: Path) -> bool:
    """Whether a living process holds a lock; what a dead one left is removed."""
    lock = FileLock(path)
    try:
        with lock.acquire(timeout=0):
            path.unlink(missing_ok=True)
            return False
    except Timeout:
        return True
