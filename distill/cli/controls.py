"""The controls of a sweep: what several runs would train alike is trained once, beside the runs.

A control knows nothing of the objective or the teacher, so a sweep over temperatures has one control and not one a run.
It lies in the sweep's folder under the hash of what made it; a run's own ``control/`` is hard links to it, and its
rows are copied. Left out on purpose: sharing between sweeps, which would keep a model a control for ever.
"""

import os
import shutil
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from distill import rows
from distill.cli.beginning import begins_as_teacher
from distill.cli.devices import is_rank
from distill.cli.identity import digest
from distill.storage import DRAFT, unwritable

if TYPE_CHECKING:
    from distill.cli.parts import Parts
    from distill.training.distiller import Distiller
    from distill.training.fit import Fit, Fitted

PLACE = "DISTILL_SWEEP_CONTROLS"
"""Set by a sweep for its runs: the folder of the controls that they share."""
FORMAT = 1
KEYS = ("seed", "data", "student", "optim", "trainer", "cadence", "callbacks")
"""All of a config that a training without a teacher depends on."""


class Controls:
    """Trains controls, or finds them trained.

    Args:
        parts: of the run.
        place: the sweep's folder for them; None trains in the run's own folder.
    """

    def __init__(self, parts: "Parts", place: Path | None) -> None:
        self.parts, self.place = parts, place

    @classmethod
    def of(cls, parts: "Parts") -> "Controls":
        """Shared where a sweep says so; a run on several devices keeps to itself: its ranks cannot wait for a lock."""
        place = os.environ.get(PLACE)
        return cls(parts, Path(place) if place and not is_rank() else None)

    def __call__(self, fit: "Fit", name: str, steps: int, make: Callable[[], "Distiller"]) -> "Fitted":
        """Train the control ``name`` for ``steps``, or take it from the run of this sweep that did.

        Args:
            fit: the run's.
            name: the subject.
            steps: that it is trained for.
            make: its module.
        """
        if self.place is None or (fit.folder / name).exists():
            return fit(name, make)
        home = self.place / self._key(steps)
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / ".lock"):
            found = (home / name).is_dir()
            fitted = fit.at(home)(name, make)
        if found:
            fit.console.print(f"{name}: another run of this sweep has trained it, in {home}", soft_wrap=True)
        self._adopt(fit, name, home, replay=found)
        return fitted

    def _key(self, steps: int) -> str:
        kept = {key: self.parts.config[key] for key in KEYS}
        begins = begins_as_teacher(kept["student"])
        text = {key: value for key, value in self.parts.hashes().items() if begins or key != "teacher"}
        told = {"format": FORMAT, "steps": steps, "vocabulary": self.parts.vocabulary, "text": text}
        trainer = {key: value for key, value in kept["trainer"].items() if key != "max_steps"}
        return digest({**kept, "trainer": trainer, "control": told}, 16)

    def _adopt(self, fit: "Fit", name: str, home: Path, replay: bool) -> None:
        """Its rows and its folder become the run's; the folder comes last, for it says that all is there."""
        metrics = fit.folder / rows.METRICS
        told = [row for row in rows.read(home / rows.METRICS) if row.subject == name]
        rows.keep(metrics, lambda row: row.subject != name)
        rows.append(metrics, told)
        if replay:
            mirrored(fit, name, told)
        linked(home / name, fit.folder / name)


def mirrored(fit: "Fit", name: str, told: list[rows.Row]) -> None:
    """Tell a run's tracker what another run measured."""
    if fit.tracker is None:
        return
    from distill.training.tracking import Mirror

    mirror = Mirror(fit.tracker, name, fit.console.print)
    for step, group in groupby(sorted(told, key=lambda row: row.step), key=lambda row: row.step):
        mirror.log_metrics({named(row): row.value for row in group}, step)
    mirror.finalize("success")


def named(row: rows.Row) -> str:
    """The name under which training logs a row."""
    return row.metric if row.split == "train" else f"{row.split}/{row.metric}"


def linked(source: Path, folder: Path) -> None:
    """``folder`` holds the files of ``source`` without their bytes being written again, whole or not at all.

    Raises:
        ResourceStop: the place cannot be written.
    """
    draft = folder.with_name(f".{folder.name}{DRAFT}{os.getpid()}")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(source, draft, copy_function=_link)
        os.replace(draft, folder)
    except OSError as problem:
        shutil.rmtree(draft, ignore_errors=True)
        raise unwritable(folder, problem) from problem


def _link(source: str, target: str) -> str:
    """A hard link, or a copy where the file system knows none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
