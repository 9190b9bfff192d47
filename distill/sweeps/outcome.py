"""How a drive ended, and what makes it end early."""

from dataclasses import dataclass, field

from distill.ranges import Natural
from distill.sweeps import failures
from distill.sweeps.status import Status


@dataclass(frozen=True)
class Outcome:
    """How a drive ended.

    Attributes:
        done, failed, queued: run names by state; ``queued`` were not begun, or stopped on the way.
        executed: names of the runs that this driver executed, in order of starting.
        brake: why it stopped starting runs, if a series of equal failures made it.
        stopped: the signal or request that ended it.
        pruned: names of the runs that the search stopped; they are through, and are no failures.
    """

    done: list[str]
    failed: list[str]
    queued: list[str]
    executed: list[str]
    brake: str | None = None
    stopped: int | None = None
    pruned: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 all done; 1 some failed or were left; 128 + n stopped by signal n (15 for a request to stop)."""
        if self.stopped is not None:
            return 128 + self.stopped
        return 1 if self.failed or self.queued else 0


@dataclass
class Brake:
    """Stops a sweep in which every run fails the same way: the machine is at fault, not the runs.

    Attributes:
        after: how many equal failures in a row, in order of ending; 0: never.
    """

    after: Natural = 3
    _last: str = ""
    _row: int = 0

    def told(self, status: Status) -> str | None:
        """Take note of a run's end; the reason to stop, if there is one now."""
        if status.state == "done":
            self._row = 0
            return None
        mark = failures.signature(status.kind, status.cause)
        self._row = self._row + 1 if mark == self._last else 1
        self._last = mark
        if not self.after or self._row < self.after:
            return None
        return f"stopped after {self._row} equal failures in a row ({status.cause})"
