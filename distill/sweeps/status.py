"""What became of a run: ``status.json`` in its folder.

No file means ``queued``. The keeper of a run writes it at the start and at the end, and nobody else but the run:
who has not claimed a run touches nothing in its folder. The run's own process may write it in between (it knows its
cause of failure best); the keeper has the last word, since only it sees how the process ended.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from distill.errors import BadInput
from distill.storage import read_json, write_json

STATUS = "status.json"
State = Literal["queued", "running", "done", "failed", "pruned"]


@dataclass(frozen=True)
class Status:
    """The state of a run.

    Attributes:
        state: ``queued`` (not begun, or stopped and to be continued), ``running``, ``done``, ``failed``, ``pruned``
            (stopped for good by the search that proposed it: no failure, and nothing that is yet to be done).
        cause: why it failed, or why it stopped and where; one line.
        kind: the kind of failure (``failures.Kind``).
        exit: the process's exit code.
        signal: the name of the signal that ended it.
        log: what it printed, relative to the run folder.
        pid, host, started: the run's process; ``started`` and ``ended`` in seconds since 1970.
        attempts: how often this execution tried, retries included.
        metric, value: the objective metric's name and last value, when the run is done.
    """

    state: State = "queued"
    cause: str | None = None
    kind: str | None = None
    exit: int | None = None
    signal: str | None = None
    log: str | None = None
    pid: int | None = None
    host: str | None = None
    started: float | None = None
    ended: float | None = None
    attempts: int = 0
    metric: str | None = None
    value: float | None = None

    def write(self, folder: Path) -> None:
        told = {key: value for key, value in asdict(self).items() if value is not None}
        write_json(folder / STATUS, told)

    def seconds(self, now: float) -> float | None:
        """How long it ran, or has been running."""
        if self.started is None:
            return None
        return (now if self.ended is None else self.ended) - self.started


def read(folder: Path) -> Status:
    """The status in a run folder; ``queued`` when there is none.

    A file that is no status makes the run a failed one, which is executed again: one damaged run must not take the
    sweep with it.
    """
    try:
        told: dict[str, Any] | None = read_json(folder / STATUS)
    except BadInput as problem:
        return Status("failed", str(problem), "lost")
    if told is None:
        return Status()
    if told.get("state") not in get_args(State):
        return Status("failed", f"{folder / STATUS}: holds no state", "lost")
    known = {field.name for field in fields(Status)}
    return Status(**{key: value for key, value in told.items() if key in known})
