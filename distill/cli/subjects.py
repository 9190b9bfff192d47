"""The three acts of a run: say what will be done, train the student and its controls, measure all of them alike."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from distill import rows
from distill.cli.build import instantiate
from distill.cli.controls import Controls
from distill.cli.devices import is_leader
from distill.cli.head import head
from distill.cli.nursery import TEACHER
from distill.cli.parts import Parts
from distill.cli.run_folder import RunFolder
from distill.storage import write_text

if TYPE_CHECKING:
    from pytorch_lightning.loggers.logger import Logger
    from rich.console import Console

    from distill.evaluation.subject import Subject
    from distill.training.fit import Fitted

SAMPLES = "samples.jsonl"


def carry_out(parts: Parts, folder: RunFolder, console: "Console") -> None:
    """All three acts."""
    folder.hold_to(parts.hashes())
    introduce(parts, folder, console)
    fitted = train(parts, folder, console)
    measure(parts, folder, fitted, console)


def introduce(parts: Parts, folder: RunFolder, console: "Console") -> None:
    """Print what goes into the run, and note it in the provenance."""
    objective = instantiate(parts.config["objective"], plugins=parts.plugins)
    foretold = parts.teacher.foretell(_asked(parts))
    for line in (*parts.data.facts.lines(), *parts.notes, *head(parts), *foretold, str(objective)):
        console.print(line, soft_wrap=True)
    told = {"formula": str(objective), "citations": objective.citations(), "notes": list(parts.notes)}
    folder.note(**told, data=parts.data.facts.plain())


def _asked(parts: Parts) -> int:
    """Different tokens that the student's training asks its teacher about, at most."""
    trainer, train = parts.config["trainer"], parts.data.facts.splits["train"]
    batches = trainer["max_steps"] * trainer.get("accumulate_grad_batches", 1)
    rows = batches * parts.config["data"].get("batch_size", train.rows)
    return train.tokens if not 0 <= rows < train.rows else -(-train.tokens * rows // train.rows)


def train(parts: Parts, folder: RunFolder, console: "Console") -> Mapping[str, "Fitted"]:
    """Train the student, then its controls, each to its best validation point; what is done is not done again."""
    from distill.models import shape
    from distill.training.comparison import STUDENT, steps_of_subjects
    from distill.training.fit import Cadence, Fit

    trainer = parts.config["trainer"]
    student = shape(parts.student())
    teacher, rate = parts.teacher, parts.data.teacher_rate
    unsized = bool(teacher.provides) and teacher.size(student) is None
    wanted = (parts.config["control"], trainer["max_steps"])
    sized = teacher.size(student)
    rollout = instantiate(parts.config["rollout"], plugins=parts.plugins)
    writing = rollout.cost(student.flops_per_token, 0.0 if sized is None else sized.flops_per_token)
    steps = steps_of_subjects(*wanted, student, sized, rate, unsized, writing)
    if parts.home and is_leader():
        _adopt(parts.home / rows.METRICS, folder.path / rows.METRICS)
    controls = Controls.of(parts)
    with _tracker(parts, folder) as tracker:
        fit = Fit(
            folder.path,
            parts.data,
            parts.data.processor,
            instantiate(trainer, plugins=parts.plugins),
            Cadence(**parts.config["cadence"]),
            parts.seed,
            console,
            tracker=tracker,
            leader=is_leader(),
            callbacks=lambda: list(instantiate(parts.config["callbacks"], plugins=parts.plugins).values()),
            interruption=parts.interruption,
        )
        fitted = {STUDENT: fit(STUDENT, partial(parts.distiller, steps.pop(STUDENT), taught=True))}
        for name, count in steps.items():
            fitted[name] = controls(fit, name, count, partial(parts.distiller, count, taught=False))
    return fitted


def measure(parts: Parts, folder: RunFolder, fitted: Mapping[str, "Fitted"], console: "Console") -> None:
    """Measure teacher, student and controls side by side on the test text; rows and texts into the run folder."""
    if not is_leader():
        return
    evaluation = instantiate(parts.config["measure"], plugins=parts.plugins)
    subjects = [*parts.subjects(), *_trained(parts, folder.path, fitted)]
    with console.status("measuring"):
        found = evaluation.evaluate(
            subjects,
            parts.data.test_batches(),
            parts.data.prompts(evaluation.prompts),
            parts.teacher.exact,
            parts.seed,
            data=parts.data,
        )
    metrics = folder.path / rows.METRICS
    rows.keep(metrics, lambda row: row.split in ("train", "validation"))
    rows.append(metrics, [*found.rows, *_trainings(fitted, parts.seed)])
    write_text(folder.path / SAMPLES, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in found.samples))
    folder.note(fitted={name: one.__dict__ for name, one in fitted.items()})


def _trainings(fitted: Mapping[str, "Fitted"], seed: int) -> list[rows.Row]:
    """How the trainings went: tokens that models wrote for a subject to train on, and how unsteady its gradient was."""
    found: list[rows.Row] = []
    for name, one in fitted.items():
        if one.written:
            found.append(rows.Row(name, "written_tokens", float(one.written), "count", "none", one.steps, seed))
        if one.gradient_variation is not None:
            told = ("gradient_norm_variation", one.gradient_variation, "fraction")
            found.append(rows.Row(name, *told, "none", one.steps, seed))
    return found


def _trained(parts: Parts, folder: Path, fitted: Mapping[str, "Fitted"]) -> list["Subject"]:
    from distill.evaluation.subject import Subject
    from distill.folders import load_model

    task = parts.data.task
    return [
        Subject(name, load_model(str(folder / name), task), parts.tokenizer, parts.size, folder / name, one.best_step)
        for name, one in fitted.items()
    ]


@contextmanager
def _tracker(parts: Parts, folder: RunFolder) -> "Iterator[Logger | None]":
    """The mirror of all subjects' trainings. It may fail in any way; a training must not fail with it."""
    from distill.training.tracking import complain

    tracker = logger = None
    try:
        if is_leader():
            tracker = instantiate(parts.config["logger"], plugins=parts.plugins)
            logger = tracker.open(folder.path, folder.path.name, folder.config, list(parts.tags))
    except Exception as problem:
        complain(f"the tracker does not open ({problem}); metrics.jsonl goes on alone")
    yield logger  # a training that fails leaves it open, which a tracker shows as a crash
    try:
        if tracker is not None and logger is not None:
            tracker.close(logger)
    except Exception as problem:
        complain(f"the tracker does not close ({problem}); metrics.jsonl is whole")


def _adopt(source: Path, metrics: Path) -> None:
    """A teacher trained by recipe brings its learning curve along, once: a resumed run has it already."""
    if not metrics.exists():
        rows.append(metrics, [row for row in rows.read(source) if row.subject == TEACHER])
