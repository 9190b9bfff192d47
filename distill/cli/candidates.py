"""A teacher as it looks before anything is trained: first from tokenizers and configs alone, then from its answers."""

import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli.build import instantiate
from distill.cli.compose import Composed
from distill.cli.definitions import attribute
from distill.cli.estimate import Estimate, estimate
from distill.cli.nodes import part_of
from distill.cli.speaker import speakers
from distill.cli.tasks import planned_task
from distill.cli.tokenizers import crosses, located, own_tokenizer, tokenizer_place

if TYPE_CHECKING:
    from rich.console import Console
    from transformers import PreTrainedTokenizerBase

    from distill.cli.parts import Parts
    from distill.evaluation.aptitude import Aptitude

BY_TOKENS = ("causal", "masked")
"""Families whose text is cut by the models' own tokenizer alone, so that nothing of the data has to be read first."""


@dataclass(frozen=True)
class Meeting:
    """How a candidate's tokens and the student's meet.

    Attributes:
        plan: what a training would do about it, in a few words.
        notes: what else a person should know.
    """

    plan: str
    notes: tuple[str, ...] = ()


@dataclass
class Candidate:
    """A run's config with one of the teachers.

    Attributes:
        name: of the teacher, as it was swept.
        composed: the config.
        meeting, estimate: known from tokenizers and configs.
        aptitude: its answers on held-out text.
        store: bytes that keeping its word about the training text takes.
        pilot: (steps, validation nats per token) of a short training.
    """

    name: str
    composed: Composed
    meeting: Meeting
    estimate: Estimate
    aptitude: "Aptitude | None" = None
    store: float | None = None
    pilot: tuple[int, float] | None = None
    notes: tuple[str, ...] = field(default=())


def looked_at(name: str, composed: Composed) -> Candidate:
    """What tokenizers and configs tell; no weight is loaded.

    Raises:
        BadInput: this student cannot learn from this teacher, and why.
    """
    return Candidate(name, composed, meeting(composed.config), estimate(composed.config, composed.arguments.plugins))


def refuse_strangers(config: dict[str, Any]) -> None:
    """Refuse before anything is read, made or loaded, in seconds, what tokenizers and configs alone tell.

    Raises:
        BadInput: the student cannot learn from this teacher, and why.
    """
    if planned_task(config).family in BY_TOKENS:
        meeting(config)


def meeting(config: dict[str, Any]) -> Meeting:
    """How the tokens of a run's teacher and student meet.

    Raises:
        BadInput: they do not, and no alignment was chosen that crosses.
    """
    from distill.folders import load_tokenizer

    if planned_task(config).family == "classification":
        return Meeting("one set of labels for both, which the data tells")
    tokenizer = own_tokenizer(config)
    plans, notes = [], []
    for place, node in speakers(config["teacher"]).items():
        where = tokenizer_place(node)
        if where is None or tokenizer is None:
            own = (node.get("recipe") or {}).get("tokenizer")
            plans.append("a tokenizer of its own" if own else "one tokenizer for both")
            continue
        plan, told = _compared(config, node, load_tokenizer(where), tokenizer)
        plans.append(plan)
        notes += [f"{place}: {line}" if place else line for line in told]
    return Meeting("; ".join(dict.fromkeys(plans)), tuple(notes))


def _compared(
    config: dict[str, Any], node: Any, theirs: "PreTrainedTokenizerBase", ours: "PreTrainedTokenizerBase"
) -> tuple[str, list[str]]:
    from distill.data.length import check_length
    from distill.data.meeting import Meeting as Both
    from distill.data.vocabulary import shared_vocabulary, vocabulary_size
    from distill.folders import known_ids, load_config

    both = Both.of(theirs, ours)
    same = f"{both.agreement:.0%} of them by the same id"
    told = [f"it knows {both.strings:,} of the student's {both.student:,} tokens, {same}", *both.differences()]
    size = known_ids(theirs)
    if node.get("path") is not None:
        there = load_config(located(node))
        size = vocabulary_size(there, "teacher.path")
        check_length(there, config["data"].get("sequence_length", 1), "teacher.path")
    if crosses(config) and both.same_ids < both.student:
        return f"other tokens, brought together by {config['alignment']['_target_'].rpartition('.')[2]}", told
    student = config["student"]
    own = vocabulary_size(load_config(located(student)), "student.path") if student.get("path") else known_ids(ours)
    data = part_of(config["data"])
    templated = data is not None and attribute(data, "templated") is True
    found = shared_vocabulary(theirs, ours, size, own, templated)
    surplus = f", {found.teacher_surplus:,} and {found.student_surplus:,} rows cut" if found.kind != "equal" else ""
    return f"{found.size:,} shared ids, {found.kind}{surplus}", told


def ask(candidate: Candidate, samples: int, console: "Console") -> "Parts":
    """Load it, and let it read held-out text; what it is then known by."""
    from distill.cli.parts import gather
    from distill.evaluation.aptitude import aptitude

    parts = gather(candidate.composed.config, candidate.composed.arguments.plugins, console)
    candidate.notes = parts.notes
    with console.status(f"asking {candidate.name}"):
        batches = parts.data.validation_batches()
        candidate.aptitude = aptitude(parts.teacher, parts.student(), batches, samples, parts.vocabulary)
    candidate.store = store_bytes(parts)
    return parts


def store_bytes(parts: "Parts") -> float | None:
    """Bytes of its word about the training text once, as ``teacher=stored`` would keep it by default."""
    from distill.signals.kept.kept import Room
    from distill.signals.kept.likeliest import KeptTopK
    from distill.signals.kept.states import KeptStates

    shape, tokens = parts.teacher.shape, parts.data.facts.splits["train"].tokens
    if "hidden" in parts.teacher.provides and shape is not None:
        room = Room(parts.teacher.vocabulary, shape.width)
        return tokens * parts.data.teacher_rate * KeptStates().bytes_per_token(room)
    room = Room(parts.teacher.vocabulary or len(parts.tokenizer), 0)
    return tokens * KeptTopK().bytes_per_token(room) if parts.teacher.provides & {"logits", "topk"} else None


def piloted(parts: "Parts", steps: int, taught: bool, console: "Console") -> tuple[int, float]:
    """A short training with a schedule of its own length; its steps and best validation nats per token."""
    from distill.training.fit import Cadence, Fit

    trainer = instantiate(parts.config["trainer"], plugins=parts.plugins)
    with tempfile.TemporaryDirectory(prefix="distill-pilot-") as folder:
        cadence = Cadence(max(steps // 2, 1), steps + 1)
        fit = Fit(Path(folder), parts.data, parts.tokenizer, trainer, cadence, parts.seed, console)
        fitted = fit("student", partial(parts.distiller, steps, taught=taught))
    return fitted.steps, fitted.best_value
