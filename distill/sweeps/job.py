"""What a run of a sweep is to a driver: a name, a command, and when it counts as done. Nothing about distillation."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.errors import BadInput
from distill.storage import read_json
from distill.sweeps.goal import Goal

SPECIFICATION = 1
"""Version of the file in ``jobs/``; another version is refused."""


@dataclass(frozen=True)
class Job:
    """One run, before and after it is executed; kept as ``jobs/RUN.json`` in the sweep folder.

    Attributes:
        name: the run folder's name, one path component (``names.run_name``).
        command: what to start, as a list (no shell).
        swept: the swept keys and this run's values, as text.
        overrides: all overrides of this run, for people and for reports.
        smaller: commands that do the same with less memory, tried in this order after memory ran out.
        environment: variables set for it.
        directory: where it is started, so that relative paths on the command line mean what they meant there.
        goal: the metric without which it is not done; None: exit code 0 suffices.
        group: equal for runs that one process can execute together; None for one that goes alone.
        together: the command for that, to which names of runs are added.
    """

    name: str
    command: list[str]
    swept: dict[str, str] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    smaller: list[list[str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    directory: str | None = None
    goal: Goal | None = None
    group: str | None = None
    together: list[str] = field(default_factory=list)

    def tell(self) -> dict[str, Any]:
        return {
            "version": SPECIFICATION,
            "name": self.name,
            "swept": self.swept,
            "overrides": self.overrides,
            "command": self.command,
            "smaller": self.smaller,
            "environment": self.environment,
            "directory": self.directory,
            "goal": None if self.goal is None else self.goal.tell(),
            "group": self.group,
            "together": self.together,
        }

    @classmethod
    def read(cls, path: Path) -> "Job":
        """A job as its driver wrote it.

        Raises:
            BadInput: no such job, or a file of another version.
        """
        told = read_json(path)
        if told is None:
            raise BadInput(str(path), "no such job", remedy="run the sweep's own command again")
        if told.pop("version", None) != SPECIFICATION:
            raise BadInput(str(path), "written by another version", remedy="run the sweep's own command again")
        goal = told.pop("goal")
        return cls(**told, goal=None if goal is None else Goal(**goal))
