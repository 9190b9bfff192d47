"""Stores under processes that are killed, many processes at once, and whoever looks after the disk (B1, B5, B6).

Few rounds in every run; the full count is slow: ``pytest -m slow tests/signals``.
"""

import errno
import fcntl
import multiprocessing
import os
import random
import shutil
import signal
import time
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from distill.signals.shelf import shelf, stale
from distill.signals.store import Store
from tests.signals.test_store import TOLD, filled, read, row, whole

A_SHARD = 4
"""Rows that a filler asks for and writes at a time."""
WHOLE = 800
"""Bytes of a shard that is as large as one should be, so that none is put together with others later."""


@dataclass
class Filler:
    """A process of its own, forked after the imports; it says when it has opened the store, and what it asked for."""

    process: BaseProcess
    ears: Connection

    def opened(self) -> "Filler":
        """Once it has the store open."""
        assert self.ears.recv() == "open"
        return self

    def ended(self) -> int:
        """How many rows it asked for."""
        told = self.ears.recv()
        self.process.join()
        assert self.process.exitcode == 0
        return told

    def kill(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()


def fill(root: Path, first: int, last: int, slow: float, locks: str, size: int, mouth: Connection) -> None:
    if locks == "none":  # a file system without advisory locks

        def missing(*_) -> None:
            raise OSError(errno.ENOSYS, "no such function here")

        fcntl.flock = missing
    warnings.simplefilter("ignore")
    store, count = Store(root, TOLD, size), 0
    mouth.send("open")
    log = os.open(log_of(root), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for start in range(first, last, A_SHARD):
        rows = [row(number) for number in range(start, start + A_SHARD)]
        if all(one.name in store for one in rows):
            continue
        with store.writing():
            absent = [one for one in rows if one.name not in store]
            os.write(log, b"x" * len(absent))
            time.sleep(slow)
            count += len(absent)
            store.append(absent)
    mouth.send(count)


def filling(
    root: Path, first: int = 0, last: int = 400, slow: float = 0.0, locks: str = "kernel", size: int = 1 << 20
) -> Filler:
    fork = multiprocessing.get_context("fork")
    ears, mouth = fork.Pipe(duplex=False)
    made = fork.Process(target=fill, args=(root, first, last, slow, locks, size, mouth))
    made.start()
    mouth.close()
    return Filler(made, ears)


def log_of(root: Path) -> Path:
    return root.with_name(root.name + ".asked")


def asked(root: Path) -> int:
    """How many rows all processes asked for, those of the killed included."""
    return log_of(root).stat().st_size


# --------------------------------------------------------------------------------------------------- B1: kill -9


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_whoever_is_killed_while_writing_leaves_whole_shards_only(tmp_path, kills):
    """What is there is right, each kill costs one shard at most, and the end is the files of a fill without a kill."""
    straight, last = tmp_path / "straight", 24 * kills
    assert filling(straight, last=last, size=WHOLE).opened().ended() == last
    root, chance = tmp_path / "killed", random.Random(0)
    for _ in range(kills):
        process = filling(root, last=last, slow=0.002, size=WHOLE).opened()
        time.sleep(chance.uniform(0.0, 0.08))
        process.kill()
        store = Store(root, TOLD, WHOLE)
        there = whole(store, range(last))
        assert there == list(range(len(there)))  # in order, whole batches
        assert store.damaged == 0
    filling(root, last=last, size=WHOLE).opened().ended()
    assert asked(root) <= last + kills * A_SHARD
    folders = [Store(one, TOLD).folder / "shards" for one in (straight, root)]
    names = [{path.name: path.read_bytes() for path in folder.glob("*.shard")} for folder in folders]
    assert names[0] == names[1]
    assert not list(folders[1].glob(".*draft*"))


# ------------------------------------------------------------------------------------------ B5: several at one store


def share(root: Path, locks: str, chance: random.Random) -> None:
    """Four at once over overlapping parts, one of them killed halfway."""
    began = time.monotonic()
    killed = filling(root, last=200, slow=0.02, locks=locks).opened()
    others = [filling(root, first, last, 0.001, locks) for first, last in ((0, 200), (80, 200), (0, 120))]
    time.sleep(chance.uniform(0.0, 0.5))  # of the second that it would take alone
    killed.kill()
    for other in others:
        other.opened().ended()
    store = Store(root, TOLD)
    assert whole(store, range(200)) == list(range(200))  # no wrong byte, none missing
    assert asked(root) <= 1.05 * 200
    assert store.damaged == 0
    assert time.monotonic() - began < 60  # the lock of the killed one held nobody up


@pytest.mark.parametrize("locks", ["kernel", "none"])
def test_processes_share_a_store_and_ask_once(tmp_path, locks):
    share(tmp_path / "store", locks, random.Random(0))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("locks", ["kernel", "none"])
def test_processes_share_a_store_and_ask_once_twenty_times(tmp_path, locks):
    for turn in range(20):
        share(tmp_path / str(turn), locks, random.Random(turn))


# --------------------------------------------------------------------------------------------------- B6: looking after


class Model:
    """What must be true of the stores of a folder, whoever opens, fills, closes, limits and removes them."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.root, self.chance = root, chance
        self.open: dict[int, Store] = {}
        self.rows: dict[int, set[int]] = {}
        (root / "signals").mkdir(parents=True)
        self.users = [root / "notes.txt", root / "signals" / "notes.txt", root / "signals" / "mine" / "thesis.tex"]
        for path in self.users:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("years of work")

    def told(self, number: int) -> dict:
        return {**TOLD, "teacher": str(number)}

    def put(self) -> None:
        number = self.chance.choice(sorted(self.open) or [0])
        store = self.open.get(number) or self.pin(number)
        wanted = [row(self.chance.randrange(60)) for _ in range(self.chance.randrange(1, 5))]
        with store.writing():
            store.append(list({one.name: one for one in wanted if one.name not in store}.values()))
        self.rows.setdefault(number, set()).update(int.from_bytes(one.name, "big") for one in wanted)

    def get(self) -> None:
        for number, store in self.open.items():
            store.refresh()
            assert whole(store, range(60)) == sorted(self.rows.get(number, set()))

    def pin(self, number: int | None = None) -> Store:
        chosen = self.chance.randrange(6) if number is None else number
        return self.open.setdefault(chosen, Store(self.root / "signals", self.told(chosen), shard_bytes=3000))

    def unpin(self) -> None:
        if self.open:
            del self.open[self.chance.choice(sorted(self.open))]

    def limit(self) -> None:
        for seen in stale(shelf(self.root / "signals"), None, self.chance.choice([0, 2000, 20000])):
            number = int(seen.told["teacher"])
            gone = seen.remove()
            assert gone == (number not in self.open)
            if gone:
                self.rows.pop(number, None)

    def check(self) -> None:
        assert all(path.read_text() == "years of work" for path in self.users)
        there = {int(seen.told["teacher"]) for seen in shelf(self.root / "signals")}
        assert there >= set(self.open)
        assert there >= {number for number, rows in self.rows.items() if rows}


@pytest.mark.parametrize("operations", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_limit_removes_what_is_in_use_or_somebody_elses(tmp_path, operations):
    model = Model(tmp_path, random.Random(0))
    acts = [model.put, model.put, model.get, model.pin, model.unpin, model.limit]
    for _ in range(operations):
        model.chance.choice(acts)()
        model.check()


def test_a_store_in_use_is_never_removed(tmp_path):
    store = filled(tmp_path, range(5))
    (seen,) = shelf(tmp_path)
    assert seen.in_use()
    assert not seen.remove()
    assert whole(Store(tmp_path, TOLD), range(5)) == list(range(5))
    filling(tmp_path, last=0).opened().ended()
    del store
    (seen,) = shelf(tmp_path)
    assert not seen.in_use()
    assert seen.remove()
    assert shelf(tmp_path) == []
    assert read(Store(tmp_path, TOLD), 0) is None


def test_the_lock_of_a_dead_process_holds_nothing(tmp_path):
    process = filling(tmp_path, slow=30).opened()
    (seen,) = shelf(tmp_path)
    assert seen.in_use()
    process.kill()
    assert not seen.in_use()
    assert seen.remove()


def test_the_longest_unused_goes_first(tmp_path):
    for number in range(3):
        filled(tmp_path, [number]) if number == 0 else Store(tmp_path, {**TOLD, "teacher": str(number)})
    for age, seen in enumerate(shelf(tmp_path)):
        os.utime(seen.folder / "store.json", (time.time() - 86400 * age, time.time() - 86400 * age))
    found = shelf(tmp_path)
    assert stale(found, 1.5, None) == [found[2]]
    assert stale(found, None, 0) == [found[2], found[1], found[0]]
    assert stale(found, None, found[0].bytes) == [found[2], found[1]]
    assert stale(found, None, 1 << 30) == []
    shutil.rmtree(tmp_path)
