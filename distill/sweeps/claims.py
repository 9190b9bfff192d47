"""Who may execute a run: numbered claims, of which the highest counts.

``claims/RUN/0001/owner.json`` is the first execution's claim, ``0002`` the next one's. A claim is taken by making
the folder with the next number, which succeeds for exactly one process. Nothing is ever deleted, so there is no
moment in which two can take over from one dead owner. ``released`` in the folder says that the owner has finished; a
claim without it whose owner is dead may be followed by the next number. The owner's heartbeat is the time stamp of
its file.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.storage import read_json, unwritable, write_json
from distill.sweeps.owner import Owner

OWNER, RELEASED = "owner.json", "released"


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

    @property
    def token(self) -> str:
        """What marks the processes that were started under this claim."""
        return str(self.folder.absolute())

    def released(self) -> bool:
        """Whether its owner has finished in order."""
        return (self.folder / RELEASED).exists()

    def held(self) -> bool:
        """Whether somebody alive holds it."""
        if self.released():
            return False
        owner = self.owner()
        return owner is not None and owner.alive(silence(self.folder / OWNER))

    def beat(self) -> None:
        """Say that the owner lives. Only the owner calls this."""
        os.utime(self.folder / OWNER)

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
    claimed = _create(folder / f"{number:04d}", Owner.of(os.getpid()).tell())
    return Claim(folder / f"{number:04d}", number) if claimed else None


def silence(path: Path) -> float:
    """Seconds since ``path`` was touched, by the clock of the file system that holds it (clocks of hosts differ)."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".clock-") as clock:
        return os.stat(clock.name).st_mtime - path.stat().st_mtime


def _create(path: Path, owner: dict[str, Any]) -> bool:
    """Make a claim's folder, if nobody has: True for exactly one caller.

    It is filled beside its place and renamed into it: nobody ever sees it without its owner, and a folder cannot be
    renamed onto a full one, on network file systems either (``flock`` and hard links are absent on some).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=".draft-"))
    try:
        write_json(draft / OWNER, owner)
        os.rename(draft, path)
    except OSError as problem:
        shutil.rmtree(draft, ignore_errors=True)
        if path.is_dir():
            return False
        raise unwritable(path, problem) from problem
    return True
