"""Who may execute a run: numbered claims, of which the highest counts.

``claims/RUN/0001/owner.json`` is the first execution's claim, ``0002`` the next one's. A claim is taken by making
the folder with the next number, which succeeds for exactly one process (``atomic.create_folder``); nothing is ever
deleted, so there is no moment in which two can take over from one dead owner. ``released`` in the folder says that
the owner has finished; a claim without it whose owner is dead may be followed by the next number. The owner's
heartbeat is the time stamp of its file.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from distill.sweeps.atomic import create_folder, read_json, write_json
from distill.sweeps.owner import Owner

OWNER, CHILD, RELEASED = "owner.json", "child.json", "released"


@dataclass(frozen=True)
class Claim:
    """One claim on a run, seen from anywhere.

    Attributes:
        folder: ``claims/RUN/0003``.
        number: 3; it is also how many times the run was begun.
    """

    folder: Path
    number: int

    def owner(self) -> Owner | None:
        told = read_json(self.folder / OWNER)
        return None if told is None else Owner.told(told)

    def child(self) -> Owner | None:
        """The run's own process, if its owner got as far as starting one."""
        told = read_json(self.folder / CHILD)
        return None if told is None else Owner.told(told)

    def held(self) -> bool:
        """Whether somebody alive holds it."""
        if (self.folder / RELEASED).exists():
            return False
        owner = self.owner()
        return owner is not None and owner.alive(silence(self.folder / OWNER))

    def beat(self) -> None:
        """Say that the owner lives. Only the owner calls this."""
        os.utime(self.folder / OWNER)

    def write_child(self, pid: int) -> None:
        write_json(self.folder / CHILD, Owner.of(pid).tell())

    def release(self) -> None:
        write_json(self.folder / RELEASED, {})


def latest(folder: Path) -> Claim | None:
    """The claim that counts in ``claims/RUN``, or None when the run was never begun."""
    try:
        numbers = [int(entry.name) for entry in os.scandir(folder) if entry.name.isdigit()]
    except FileNotFoundError:
        return None
    return Claim(folder / f"{max(numbers):04d}", max(numbers)) if numbers else None


def take(folder: Path, after: int) -> Claim | None:
    """Claim the run if it was begun exactly ``after`` times and nobody alive holds it; None otherwise.

    A compare-and-swap: two drivers that both saw ``after`` executions can start only one more between them.
    """
    number = after + 1
    newest = latest(folder)
    if (0 if newest is None else newest.number) != after or (newest is not None and newest.held()):
        return None
    claimed = create_folder(folder / f"{number:04d}", OWNER, Owner.of(os.getpid()).tell())
    return Claim(folder / f"{number:04d}", number) if claimed else None


def silence(path: Path) -> float:
    """Seconds since ``path`` was touched, by the clock of the file system that holds it (clocks of hosts differ)."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".clock-") as clock:
        return os.stat(clock.name).st_mtime - path.stat().st_mtime
