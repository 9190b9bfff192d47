"""Distil a teacher into a student, stand it beside its controls, and report."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from distill.cli.settings import Debug, Paths, Wandb
from distill.ranges import Natural

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from distill.alignment.alignment import Alignment
    from distill.evaluation.evaluation import Evaluation
    from distill.losses.objective import Objective
    from distill.rollouts.rollout import Rollout
    from distill.students.student import Student
    from distill.sweeps.grid import Grid
    from distill.sweeps.launchers.launcher import Launcher
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
    sweeper: "Grid"
    debug: Debug
    wandb: Wandb | None = None
