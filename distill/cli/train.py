"""Distil a teacher into a student, stand it beside its controls, and report."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from distill.cli.arguments import Arguments
from distill.cli.changes import ABSENT, changes
from distill.cli.compose import Composed, compose
from distill.cli.devices import device_count, is_leader, is_rank
from distill.cli.run_folder import RunFolder
from distill.cli.settings import Debug, Paths, Wandb
from distill.ranges import Natural

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from distill.alignment.alignment import Alignment
    from distill.evaluation.evaluation import Evaluation
    from distill.losses.objective import Objective
    from distill.rollouts.rollout import Rollout
    from distill.students.student import Student
    from distill.sweeps.launchers.launcher import Launcher
    from distill.sweeps.sweeper import Sweeper
    from distill.teachers.teacher import Teacher
    from distill.training.fit import Cadence
    from distill.training.optim import Optim
    from distill.training.tracking import Tracker


@dataclass(frozen=True)
class Settings:
    """The keys of ``conf/train.yaml``. Read as text, never made: the config is bound to these annotations."""

    name: str
    seed: Natural
    control: Literal["both", "steps", "compute", "none"]
    cadence: "Cadence"
    paths: Paths
    data: "pl.LightningDataModule"
    teacher: "Teacher"
    student: "Student"
    objective: "Objective"
    rollout: "Rollout"
    alignment: "Alignment"
    measure: "Evaluation"
    optim: "Optim"
    trainer: Callable[..., "pl.Trainer"]
    callbacks: dict[str, "pl.Callback"]
    logger: "Tracker"
    launcher: "Launcher"
    sweeper: "Sweeper"
    debug: Debug
    wandb: Wandb | None = None


def run(arguments: Arguments) -> int:
    """Train, evaluate and report one run; or, with ``-m``, a sweep of them.

    A run on several devices is started once more by torchrun: Lightning's own launcher would repeat this command line
    in every rank, folder, lock and report included.
    """
    arguments = arguments.without_words()
    if arguments.multirun:
        from distill.cli.multirun import multirun

        return multirun(arguments, told)
    composed = compose(arguments)
    if arguments.dry_run:
        from distill.cli.dry_run import show

        return show(composed)
    if not is_rank() and device_count(composed) > 1:
        from distill.cli.plan import run_command

        return subprocess.run(run_command(composed, arguments, []), check=False).returncode
    from distill.cli.candidates import refuse_strangers
    from distill.cli.estimate import estimate, refuse_hopeless

    folder = RunFolder(composed, arguments.command)
    if not folder.done:
        refuse_strangers(composed.config)
        refuse_hopeless(estimate(composed.config, arguments.plugins), str(folder.path))
    carry_out(composed, folder)
    return 0


def carry_out(composed: Composed, folder: RunFolder) -> None:
    """Do what is not done of a run, its stages first, and report it."""
    from distill.cli.chain import taught

    if folder.done:
        print(f"{folder.path} is finished; this is its report")
    else:
        with folder.running():
            folder.note(differences=differences(composed, composed.arguments))
            _execute(taught(composed, folder, carry_out).config, composed.arguments.plugins, folder)
    if is_leader():
        told(folder.path, composed.config, composed.arguments.plugins)


def differences(composed: Composed, arguments: Arguments) -> dict[str, list[Any]]:
    """Key -> [default, value], None for a key that one side has not."""
    defaults = compose(replace(arguments, overrides=()))
    pairs = changes(defaults.config, composed.config)
    return {key: [None if side is ABSENT else side for side in sides] for key, sides in pairs.items()}


def told(folder: Path, config: Mapping[str, Any] | None = None, plugins: tuple[str, ...] = ()) -> None:
    """Write the report of a run or a sweep, show its table, and hand it to the tracker that a config names."""
    from rich.console import Console

    from distill.cli.mirror import mirrored
    from distill.reports.report import write
    from distill.reports.table import show

    written = write([folder])
    show(written.document, Console())
    print(f"\n{written.html}\n{written.markdown}")
    if config is not None:
        mirrored(written, folder, config, plugins)


def _execute(config: dict[str, Any], plugins: tuple[str, ...], folder: RunFolder) -> None:
    """The main job: gather the parts, train each subject, measure all of them."""
    from rich.console import Console

    from distill.cli import subjects
    from distill.cli.parts import gather
    from distill.cli.quiet import quieten

    quieten()
    console = Console(highlight=False, markup=False, quiet=not is_leader())
    subjects.carry_out(gather(config, plugins, console), folder, console)
