"""A teacher that does not exist yet: trained once by its recipe, kept in the cache under the hash of its inputs.

The recipe goes through the same module, data and optimiser as any student, with cross-entropy as its objective. Runs
of a sweep that want the same teacher wait for the one that trains it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from distill.cli.devices import is_rank
from distill.cli.speaker import speakers, with_path
from distill.errors import BadInput
from distill.ranges import Count, Natural, Positive, Share

FORMAT = 1
"""Raised when the same recipe would make another teacher than before."""

TEACHER = "teacher"
WARMUP = 20
HURRIED = 8
EVALUATION_TOKENS = 10_000
TRAINER = {"precision": "32-true", "accumulate_grad_batches": 1, "gradient_clip_val": 1.0}
"""One way for every teacher: a sweep over the student's optimiser or precision must not sweep over teachers."""


@dataclass(frozen=True)
class Recipe:
    """How a teacher is trained.

    Attributes:
        student: a student's node: the model's sizes.
        steps: optimiser steps.
        learning_rate: peak.
        batch_size: rows of a step; the student's may be another.
        share: of the text that it sees.
        seed: its own; every student's seed has the same teacher.
        tokenizer: the node of a recipe for one of its own; None takes the student's. Then the run needs an alignment
            that crosses tokenizers.
        sequence_length: of its training rows, in its tokens; None takes the data's.
        data: keys of the data that are others for it: another resolution, a description instead of a picture.
    """

    student: dict[str, Any]
    steps: Count
    learning_rate: Positive
    batch_size: Count = 32
    share: Share = 1.0
    seed: Natural = 0
    tokenizer: dict[str, Any] | None = None
    sequence_length: Count | None = None
    data: dict[str, Any] | None = None


def raised(recipe: Recipe, config: Mapping[str, Any], tokenizer: Any, console: Any) -> Path:
    """The folder that holds the trained teacher (``teacher/``) and its rows (``metrics.jsonl``).

    Args:
        recipe: how to train it.
        config: the run's, for its data, its device and its cache.
        tokenizer: the data's.
        console: where progress is shown.
    """
    from distill.alignment.identity import Identity
    from distill.cli.build import instantiate
    from distill.rollouts.data import Data
    from distill.teachers.none import NoTeacher
    from distill.training.comparison import criterion, without_teacher
    from distill.training.distiller import Distiller
    from distill.training.fit import Cadence, Fit
    from distill.training.optim import AdamW
    from distill.training.randomness import reseed

    data = instantiate(_text(recipe, config["data"]))
    tokenizer = data.prepare(None if recipe.tokenizer else tokenizer)
    folder = Path(config["paths"]["cache"]).expanduser() / "nursery" / _key(recipe, data.fingerprint)
    if (folder / TEACHER).is_dir():
        return folder
    if is_rank():
        reason = "the teacher is trained by one process, before a run on several devices begins"
        raise BadInput("teacher.recipe", reason, remedy="run the same command with trainer.devices=1 once")

    def make() -> Distiller:
        reseed(recipe.seed, 0)
        student = instantiate(recipe.student).of(data.task).build(tokenizer)
        family = data.task.family
        parts = (without_teacher(family), NoTeacher(), Data(), Identity(), AdamW(recipe.learning_rate, warmup=WARMUP))
        return Distiller(student, *parts, steps=recipe.steps, seed=recipe.seed, criterion=criterion(family))

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    if not _free(lock):
        console.print("another run trains this teacher; waiting for it")
    with lock:
        if not (folder / TEACHER).is_dir():
            console.print(f"the teacher is trained once and kept in {folder}", soft_wrap=True)
            eighth = max(recipe.steps // 8, 1)
            trainer = instantiate({**config["trainer"], **TRAINER})
            Fit(folder, data, data.processor, trainer, Cadence(eighth, eighth), recipe.seed, console)(TEACHER, make)
    return folder


def all_raised(
    teacher: Mapping[str, Any], config: Mapping[str, Any], tokenizer: Any, console: Any
) -> tuple[Mapping[str, Any], Path | None]:
    """A teacher's node with the path of every model in it that has to be trained first, and the folder of the rows of
    the only one (None for several, or none)."""
    hurried = (config.get("debug") or {}).get("level") == "fast"
    homes = []
    for place, node in speakers(teacher).items():
        if recipe := recipe_of(node, hurried):
            homes.append(raised(recipe, config, tokenizer, console))
            teacher = with_path(teacher, str(homes[-1] / TEACHER), place)
    return teacher, homes[0] if len(homes) == len(speakers(teacher)) == 1 else None


def recipe_of(teacher: Mapping[str, Any], hurried: bool = False) -> Recipe | None:
    """The recipe in a teacher's config, if it has to be trained first.

    Args:
        teacher: its node.
        hurried: a debug run wants a teacher in seconds, not a good one.

    Raises:
        BadInput: the recipe has unknown or missing keys.
    """
    if teacher.get("path") is not None or not teacher.get("recipe"):
        return None
    try:
        recipe = Recipe(**teacher["recipe"])
        return replace(recipe, steps=min(recipe.steps, HURRIED)) if hurried else recipe
    except TypeError as problem:
        known = ", ".join(Recipe.__dataclass_fields__)
        raise BadInput("teacher.recipe", str(problem).partition(" ")[2], remedy=f"its keys are {known}") from None


def _text(recipe: Recipe, data: Mapping[str, Any]) -> dict[str, Any]:
    """The run's text as the teacher sees it. What only concerns the student's steps does not make another teacher, nor
    do the domains that it is tailored to."""
    own = {} if recipe.tokenizer is None else {"tokenizer": recipe.tokenizer}
    told = {"share": recipe.share, "seed": recipe.seed, "batch_size": recipe.batch_size}
    told |= dict.fromkeys(("mixture", "domain_weights", "train_domains"))
    told |= {"sequence_length": recipe.sequence_length or data.get("sequence_length")}
    told |= {"evaluation_tokens": EVALUATION_TOKENS}
    return {**data, **own, **{key: value for key, value in told.items() if key in data}, **(recipe.data or {})}


def _key(recipe: Recipe, fingerprint: str) -> str:
    given = {name: value for name, value in recipe.__dict__.items() if value is not None}
    told = {"format": FORMAT, "recipe": given, "data": fingerprint}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _free(lock: FileLock) -> bool:
    """Whether nobody holds the lock at this moment."""
    from filelock import Timeout

    try:
        with lock.acquire(timeout=0):
            return True
    except Timeout:
        return False
