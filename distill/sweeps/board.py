"""What a person sees of a sweep: one line a run, and how it stands as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass

from distill.sweeps.status import Status


@dataclass(frozen=True)
class Line:
    """One run.

    Attributes:
        name: the run's name.
        status: as its folder tells it.
        elsewhere: whether somebody else than the one who asks executes it.
        log: path of what it printed.
        lost: whether it says that it is running and nobody alive keeps it; the next driver takes it over.
    """

    name: str
    status: Status
    elsewhere: bool = False
    log: str = ""
    lost: bool = False


@dataclass(frozen=True)
class Board:
    """A sweep at a moment.

    Attributes:
        lines: the runs, in the order of the command line.
        elapsed: seconds since the driver began.
        remaining: estimated seconds; None before anything has finished.
        note: why nothing more is started, if so.
    """

    lines: Sequence[Line]
    elapsed: float = 0.0
    remaining: float | None = None
    note: str | None = None

    def count(self, state: str) -> int:
        return sum(line.status.state == state for line in self.lines)

    def summary(self) -> str:
        """``11 done, 5 failed, 0 running, 0 queued of 16; 2m 10s, about 0s left``, and the pruned if there are any."""
        told = ("done", *(["pruned"] if self.count("pruned") else []), "failed", "running", "queued")
        counts = ", ".join(f"{self.count(state)} {state}" for state in told)
        left = "" if self.remaining is None else f", about {clock(self.remaining)} left"
        return f"{counts} of {len(self.lines)}; {clock(self.elapsed)}{left}"


def estimate(finished: Sequence[float], left: int, places: int) -> float | None:
    """Seconds until ``left`` runs are through, ``places`` at a time, if they take what the finished ones took."""
    if not finished:
        return None
    rounds = -(-left // max(1, places))
    return rounds * sum(finished) / len(finished)


def clock(seconds: float) -> str:
    """``1h 02m``, ``2m 10s``, ``7s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 60}m {whole % 60:02d}s" if whole >= 60 else f"{whole}s"
