"""What a keeper is told: which run of which folder, or which of them together, and how patient to be with it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.ranges import Natural, NonNegative


@dataclass(frozen=True)
class Patience:
    """How a failing run is treated.

    Attributes:
        retries: how often a failure that may pass by itself (network, memory) is tried again.
        backoff: seconds before the first retry; doubled for each further one.
        grace: seconds a run has to checkpoint when it is asked to end.
    """

    retries: Natural = 2
    backoff: NonNegative = 10.0
    grace: NonNegative = 30.0


@dataclass(frozen=True)
class Task:
    """One execution of one run: picklable, and writable as a command.

    Attributes:
        folder: the sweep folder.
        run: the run's name.
        begun: how often the run had been begun when this was decided; if it has been begun again since, nothing
            is done.
    """

    folder: Path
    run: str
    begun: int
    patience: Patience = Patience()

    def command(self) -> list[str]:
        return command([self])


def command(tasks: Sequence[Task]) -> list[str]:
    """What starts the keeper of a run, or of several runs of one folder that go together."""
    folder, patience = tasks[0].folder, tasks[0].patience
    options = [f"--retries={patience.retries}", f"--backoff={patience.backoff}", f"--grace={patience.grace}"]
    runs = [word for task in tasks for word in (task.run, str(task.begun))]
    return [sys.executable, "-m", "distill.sweeps.keeper", *options, "--", str(folder), *runs]
