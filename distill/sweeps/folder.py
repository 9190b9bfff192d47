"""A sweep folder, and where everything in it is.

::

    sweep.json            the command, the swept keys and their values, when it was made
    jobs/RUN.json         what to execute (job.Job)
    runs/RUN/             a run folder like any other, with its status.json
    logs/RUN.txt          what the run printed, all attempts
    claims/RUN/0001/      who executes it (claims.py)
    drivers/              who starts runs here at the moment
    stop.json             the last request to stop
"""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distill import names
from distill.errors import BadInput
from distill.storage import read_json, write_json
from distill.sweeps import claims, status
from distill.sweeps.claims import Claim
from distill.sweeps.job import Job
from distill.sweeps.owner import Owner
from distill.sweeps.status import Status

PLAN = "sweep.json"


@dataclass(frozen=True)
class SweepFolder:
    """A sweep folder at ``path``, which need not exist yet."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def run(self, name: str) -> Path:
        return self.path / "runs" / names.check(name)

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{names.check(name)}.txt"

    def job_file(self, name: str) -> Path:
        return self.path / "jobs" / f"{names.check(name)}.json"

    def claims(self, name: str) -> Path:
        return self.path / "claims" / names.check(name)

    def claim(self, name: str) -> Claim | None:
        return claims.latest(self.claims(name))

    def status(self, name: str) -> Status:
        return status.read(self.run(name))

    def exists(self) -> bool:
        return (self.path / PLAN).is_file()

    def write_plan(self, command: list[str], swept: dict[str, list[str]], jobs: list[Job], grows: bool = False) -> None:
        """Lay down what is to be run. The same sweep again only refreshes commands; no status is touched.

        Args:
            grows: a search adds its runs as it proposes them.

        Raises:
            BadInput: the folder holds a sweep of other runs.
        """
        old = self.plan() if self.exists() else None
        wanted = [job.name for job in jobs]
        if grows and old is not None:
            wanted = list(dict.fromkeys([*old["runs"], *wanted]))
        elif old is not None and sorted(old["runs"]) != sorted(wanted):
            raise BadInput(
                str(self.path), "holds another sweep", remedy="choose another folder, or none: it is named by hash"
            )
        created = time.time() if old is None else old["created"]
        for job in jobs:
            write_json(self.job_file(job.name), job.tell())
        told = {"name": self.name, "command": command, "swept": swept, "runs": wanted}
        write_json(self.path / PLAN, {**told, "created": created})

    def plan(self) -> dict:
        """``sweep.json``. Raises BadInput when this is no sweep folder."""
        told = read_json(self.path / PLAN)
        if told is None:
            raise BadInput(
                str(self.path), "no sweep folder (it has no sweep.json)", remedy="name a folder below sweeps/"
            )
        return told

    def jobs(self) -> list[Job]:
        return [Job.read(self.job_file(name)) for name in self.plan()["runs"]]

    @contextmanager
    def registered(self) -> Iterator[Path]:
        """Be known as a driver of this sweep; the file's time stamp is the heartbeat."""
        mark = self.path / "drivers" / f"{uuid.uuid4().hex}.json"
        write_json(mark, {**Owner.of(os.getpid()).tell(), "since": time.time()})
        try:
            yield mark
        finally:
            mark.unlink(missing_ok=True)

    def drivers(self) -> dict[Path, float]:
        """The living drivers and since when they drive; dead ones' marks are removed."""
        alive: dict[Path, float] = {}
        for mark in sorted((self.path / "drivers").glob("*.json")):
            told = read_json(mark)
            if told is None:  # it has just left
                continue
            if Owner.told(told).alive(claims.silence(mark)):
                alive[mark] = float(told["since"])
            else:
                mark.unlink(missing_ok=True)
        return alive

    def request_stop(self) -> None:
        """Ask every driver and every keeper of a run, on any machine, to end what it does."""
        write_json(self.path / "stop.json", {"request": uuid.uuid4().hex, "at": time.time()})

    def stop_request(self) -> str | None:
        """The last request's name. Whoever starts remembers it, and stops when another one has come."""
        told = read_json(self.path / "stop.json")
        return None if told is None else str(told["request"])
