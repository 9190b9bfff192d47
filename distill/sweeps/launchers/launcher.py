"""What a launcher is: it starts keepers somewhere, so many at a time."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from distill.sweeps.task import Task


class Handle(ABC):
    """A keeper that was started."""

    @abstractmethod
    def poll(self) -> int | None:
        """Its exit code, or None while it is waiting or at work. Any code that is no keeper's means it was lost."""

    @abstractmethod
    def stop(self) -> None:
        """Ask it to end its run with grace; asked twice, at once. Returns without waiting."""


class Launcher(ABC):
    """Starts keepers.

    Attributes:
        jobs: how many keepers at a time.
        together: how many runs of one group a keeper may be given.
        restarts: how often a run that was stopped or lost through no fault of its own is begun again.
    """

    jobs: int
    together: int = 1
    restarts: ClassVar[int]

    @abstractmethod
    def start(self, task: Task) -> Handle:
        """Start one keeper and return at once."""

    def start_together(self, tasks: Sequence[Task]) -> list[Handle]:
        """Start one keeper for several runs, ``together`` at most; a handle for each."""
        assert len(tasks) == 1, "a launcher that keeps runs together says how"
        return [self.start(tasks[0])]
