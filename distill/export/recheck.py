"""The exported file itself, measured against the student it was made from: on the same text, in the same minutes.

Every number is made by running the file as it lies on disk; nothing is inferred from how it was made. The rows carry
the file's name as their subject, so that a report stands it beside teacher, student and controls.

Formula: kl_to_student = mean KL(student ‖ file); top1_agreement_to_student = mean [argmax student = argmax file];
    bits_per_byte_change = bits per byte of the file − the student's, token by token

Left out on purpose: batches. A file on the edge answers one person.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distill.errors import NumericalStop
from distill.evaluation.agreement import Agreement
from distill.evaluation.attention import computed
from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.calibration import Calibration
from distill.evaluation.likelihood import Likelihood
from distill.evaluation.measure import Measured, TokenMeasure, Tokens
from distill.evaluation.subject import Subject
from distill.export.export import Bound, Export, weights_in
from distill.export.pieces import Piece, pieces
from distill.export.resident import resident
from distill.export.runner import Runner
from distill.export.speeds import in_turns
from distill.export.torch_runner import TorchRunner
from distill.models import evaluating, shape
from distill.ranges import Count
from distill.rows import Row
from distill.teachers.teacher import Teacher
from distill.types import Batch

MIB = 2**20
AGREEMENT, KL, CHANGE = "top1_agreement_to_student", "kl_to_student", "bits_per_byte_change"
ELSEWHERE = 64
"""Texts whose next token is asked of a runtime of the format's own."""
IN_RUNTIME = "kl_in_llama_cpp"
"""The one number of a runtime of its own that is held to the bound; its agreement is of too few tokens."""
_TO_STUDENT = {"top1_agreement": AGREEMENT, "kl_to_teacher": KL, "reverse_kl_to_teacher": "reverse_kl_to_student"}


@dataclass(frozen=True)
class Checked:
    """What came out.

    Attributes:
        file: rows of the file.
        student: the same measures of the student on the same tokens, for the table; not for the run's metrics.
        how: who ran the file.
        teacher: the same of the teacher, where it is a model with the student's tokens.
    """

    file: list[Row]
    student: list[Row]
    how: str
    teacher: list[Row] = field(default_factory=list)


class Recheck:
    """Quality, agreement, size, speed and memory of an exported file beside its student.

    Args:
        tokens: of the test text at most, None for all of it, as a run is measured; the file reads one piece at a time.
        prompt_tokens: read at once for the prefill speed.
        new_tokens: written one by one for the decode speed.
        rounds: of the speeds, after one of warm-up; file and student take turns.
        memory: also run each in a process of its own and ask how much it holds (seconds for each; Linux only).
    """

    def __init__(
        self,
        tokens: Count | None = None,
        prompt_tokens: Count = 128,
        new_tokens: Count = 32,
        rounds: Count = 9,
        memory: bool = True,
    ) -> None:
        self.tokens, self.rounds, self.memory = tokens, rounds, memory
        self.prompt_tokens, self.new_tokens = prompt_tokens, new_tokens

    def check(
        self,
        export: Export,
        folder: Path,
        name: str,
        student: Subject,
        batches: Iterable[Batch],
        teacher: Teacher | None = None,
        seed: int = 0,
        beside: Subject | None = None,
    ) -> Checked:
        """Measure, then hold to the bound.

        Args:
            export: that wrote it.
            folder: where it lies.
            name: of the file in the rows.
            student: it was made from.
            batches: of held-out text.
            teacher: with the student's tokens; its agreement with the file is measured too.
            seed: of the run, for the rows.
            beside: the teacher's model, whose quality, size and speed are told too.

        Raises:
            NumericalStop: the file is beyond its bound, or answers with what is no number.
        """
        opened = export.open(folder, student)
        with evaluating(student.model):
            told = self._on_text(opened.runner, student, batches, teacher)
            hold(export.bound, told.file, name)
            sizes = self._size(export.format, folder, student, weights_in(folder))
            reference = self._size("huggingface", student.folder, student, _files(student))
            runners: dict[str, Runner] = {"student": TorchRunner(student.model, student.vocabulary)}
            runners |= {} if opened.clock is None else {"file": opened.clock}
            runners |= {} if beside is None else {"teacher": TorchRunner(beside.model, beside.vocabulary)}
            models = [student.model, *([] if beside is None else [beside.model])]
            with computed(models, "sdpa"):  # a teacher may have been asked for its attention, in the open
                speeds = in_turns(runners, self.prompt_tokens, self.new_tokens, self.rounds, told.about)
        elsewhere = export.run_elsewhere(folder, told.prompts, told.expected)
        hold(export.bound, elsewhere, name)

        def rows(subject: str, measured: list[Measured], split: str) -> list[Row]:
            return _rows(subject, 0 if subject == "teacher" else student.step, seed, measured, split)

        file = [*rows(name, [*told.file, *elsewhere], "test"), *rows(name, [*sizes, *speeds.get("file", [])], "none")]
        own = rows(student.name, told.student, "test") + rows(student.name, [*reference, *speeds["student"]], "none")
        theirs: list[Row] = []
        if beside is not None:
            size = self._size("huggingface", beside.folder, beside, _files(beside))
            theirs = rows("teacher", told.teacher, "test") + rows("teacher", [*size, *speeds["teacher"]], "none")
        return Checked(_last(file), own, opened.how, theirs)

    # ------------------------------------------------------------------------------------------------------- text

    def _on_text(self, runner: Runner, student: Subject, batches: Iterable[Batch], teacher: Teacher | None) -> "Told":
        sides = [[Likelihood(), Calibration()] for _ in range(3)]  # file, student, teacher
        to_student, to_teacher, change = Agreement(), [Agreement() for _ in range(3)], SampleMean()
        heard, bytes_, prompts, expected = teacher is not None, 0, [], []
        heard_first: dict[str, np.ndarray] = {}
        for piece in pieces(student, batches, teacher, self.tokens):
            log_p, log_q = piece.log_q, _log_softmax(runner, piece)
            if not heard_first and piece.heard:
                heard_first = heard_of(piece)
            views = [piece.tokens(log_q, piece.log_p), piece.tokens(log_p, piece.log_p)]
            heard = heard and piece.log_p is not None
            views += [piece.tokens(piece.log_p, piece.log_p)] if piece.log_p is not None else []
            for side, view in zip(sides, views, strict=False):
                _update(side, view)
            to_student.update(replace(views[0], log_p=log_p))
            change.add(views[0].nats.double() - views[1].nats.double(), views[0].drawn)
            for agreement, view in zip(to_teacher, views, strict=False) if heard else ():
                agreement.update(view)
            bytes_ += piece.bytes
            if len(prompts) < ELSEWHERE:
                prompts.append(piece.ids)
                expected.append(log_p[-1])
        found = [[row for tally in side for row in tally.rows()] for side in sides]
        found[0] += [replace(row, metric=_TO_STUDENT[row.metric]) for row in to_student.rows()]
        if bytes_:  # there is something that was spelt
            bits = change.n / bytes_ / math.log(2)
            low, high = (None if end is None else end * bits for end in change.interval())
            found[0].append(Measured(CHANGE, change.value * bits, "bits/byte", change.n, low, high))
        if heard:
            found = [rows + agreement.rows() for rows, agreement in zip(found, to_teacher, strict=True)]
        return Told(found[0], found[1], found[2] if heard else [], prompts, expected, heard_first)

    # --------------------------------------------------------------------------------------------- size and speed

    def _size(self, format: str, folder: Path | None, subject: Subject, files: list[Path]) -> list[Measured]:
        """Of a folder's file and of what it is loaded into; memory is asked of a process of its own."""
        rows = [Measured("parameters", shape(subject.model).parameters, "count")]
        if files:
            rows.append(Measured("disk_bytes", sum(file.stat().st_size for file in files), "bytes", len(files)))
        told = resident(format, folder, self.prompt_tokens) if self.memory and folder is not None else None
        return rows + ([] if told is None else [Measured("resident_memory", told / MIB, "MiB", self.prompt_tokens)])


@dataclass(frozen=True)
class Told:
    """What was measured on the text: of file, student and teacher; texts, and the student's word after them."""

    file: list[Measured]
    student: list[Measured]
    teacher: list[Measured]
    prompts: list[list[int]]
    expected: list[Tensor]
    heard: dict[str, np.ndarray]

    @property
    def about(self) -> tuple[dict[str, np.ndarray], list[int]] | None:
        """What the first sample hears or sees, and its ids."""
        return (self.heard, self.prompts[0]) if self.heard else None


def _files(subject: Subject) -> list[Path]:
    return [] if subject.folder is None else weights_in(subject.folder)


def hold(bound: Bound, told: list[Measured], name: str) -> None:
    """Refuse a file that is beyond its bound.

    Raises:
        NumericalStop: with the number, the bound and the key that moves it.
    """
    limits = {
        KL: ("kl", bound.kl, 1),
        AGREEMENT: ("agreement", bound.agreement, -1),
        CHANGE: ("bits_per_byte", bound.bits_per_byte, 1),
        IN_RUNTIME: ("kl", bound.kl, 1),
    }
    for one in told:
        if one.metric not in limits:
            continue
        key, limit, sign = limits[one.metric]
        if not sign * one.value <= sign * limit:  # NaN is beyond too
            word = "at most" if sign > 0 else "at least"
            reason = f"the exported file is beyond its bound of {word} {limit:g}, on {one.n:,} tokens; nothing is kept"
            remedy = f"choose a finer format, or allow it: export.bound.{key}=…"
            raise NumericalStop(f"{name} {one.metric}", reason, value=f"{one.value:.6g}", remedy=remedy)


def _update(tallies: list[TokenMeasure], tokens: Tokens) -> None:
    for tally in tallies:
        tally.update(tokens)


def _log_softmax(runner: Runner, piece: Piece) -> Tensor:
    """(C, V) log-probabilities of the file, which reads the sample from its beginning."""
    runner.restart()
    runner.hear(heard_of(piece))
    return torch.from_numpy(runner.read(piece.ids)[piece.places]).log_softmax(-1)


def heard_of(piece: Piece) -> dict[str, np.ndarray]:
    return {name: value.cpu().numpy() for name, value in piece.heard.items()}


def _rows(name: str, step: int, seed: int, told: list[Measured], split: str) -> list[Row]:
    return [Row(name, m.metric, m.value, m.unit, split, step, seed, m.n, low=m.low, high=m.high) for m in told]


def _last(rows: list[Row]) -> list[Row]:
    """One row a metric: a runtime of the format's own has the last word."""
    return list({row.metric: row for row in rows}.values())
