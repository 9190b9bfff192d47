"""The exported file itself, measured against the student it was made from: on the same text, in the same minutes.

Every number is made by running the file as it lies on disk; nothing is inferred from how it was made. The rows carry
the file's name as their subject, so that a report stands it beside teacher, student and controls.

Formula: kl_to_student = mean KL(student ‖ file); top1_agreement_to_student = mean [argmax student = argmax file];
    bits_per_byte_change = bits per byte of the file − the student's, token by token

Left out on purpose: batches. A file on the edge answers one person.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from distill.errors import NumericalStop
from distill.evaluation.agreement import Agreement
from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.calibration import Calibration
from distill.evaluation.likelihood import Likelihood
from distill.evaluation.measure import Measured, TokenMeasure, Tokens
from distill.evaluation.subject import Subject
from distill.export.export import Bound, Export, weights_in
from distill.export.pieces import pieces
from distill.export.resident import resident
from distill.export.runner import Runner
from distill.export.speeds import side_by_side
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
    """

    file: list[Row]
    student: list[Row]
    how: str


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

        Raises:
            NumericalStop: the file is beyond its bound, or answers with what is no number.
        """
        opened = export.open(folder, student)
        with evaluating(student.model):
            told, own, prompts, expected = self._on_text(opened.runner, student, batches, teacher)
            hold(export.bound, told, name)
            sizes, reference = self._sizes(export, folder, student)
            runner = opened.runner if opened.timed else None
            speeds = side_by_side(runner, student, self.prompt_tokens, self.new_tokens, self.rounds)
        elsewhere = export.run_elsewhere(folder, prompts, expected)
        hold(export.bound, elsewhere, name)
        file = [*_rows(name, student.step, seed, told, "test"), *_rows(name, student.step, seed, elsewhere, "test")]
        file += _rows(name, student.step, seed, [*sizes, *speeds[0]], "none")
        beside = _rows(student.name, student.step, seed, own, "test")
        beside += _rows(student.name, student.step, seed, [*reference, *speeds[1]], "none")
        return Checked(_last(file), beside, opened.how)

    # ------------------------------------------------------------------------------------------------------- text

    def _on_text(
        self, runner: Runner, student: Subject, batches: Iterable[Batch], teacher: Teacher | None
    ) -> tuple[list[Measured], list[Measured], list[list[int]], list[Tensor]]:
        """The file's measures, the student's, and texts with the student's word on the next token."""
        file, own = [Likelihood(), Calibration()], [Likelihood(), Calibration()]
        to_student, to_teacher, change = Agreement(), [Agreement(), Agreement()], SampleMean()
        heard, bytes_, prompts, expected = teacher is not None, 0, [], []
        for piece in pieces(student, batches, teacher, self.tokens):
            log_p, log_q = piece.log_q, _log_softmax(runner, piece.ids)
            views = piece.tokens(log_q, piece.log_p), piece.tokens(log_p, piece.log_p)
            _update(file, views[0])
            _update(own, views[1])
            to_student.update(replace(views[0], log_p=log_p))
            change.add(views[0].nats.double() - views[1].nats.double(), views[0].owners)
            heard = heard and piece.log_p is not None
            if heard:
                to_teacher[0].update(views[0])
                to_teacher[1].update(views[1])
            bytes_ += piece.bytes
            if len(prompts) < ELSEWHERE:
                prompts.append(piece.ids)
                expected.append(log_p[-1])
        rows = [row for tally in file for row in tally.rows()]
        rows += [replace(row, metric=_TO_STUDENT[row.metric]) for row in to_student.rows()]
        bits = change.n / bytes_ / math.log(2) if bytes_ else math.nan
        low, high = (None if end is None else end * bits for end in change.interval())
        rows.append(Measured(CHANGE, change.value * bits, "bits/byte", change.n, low, high))
        others = [row for tally in own for row in tally.rows()]
        if heard:
            rows, others = rows + to_teacher[0].rows(), others + to_teacher[1].rows()
        return rows, others, prompts, expected

    # --------------------------------------------------------------------------------------------- size and speed

    def _sizes(self, export: Export, folder: Path, student: Subject) -> tuple[list[Measured], list[Measured]]:
        files = weights_in(folder)
        weights = shape(student.model).parameters
        rows = [
            Measured("disk_bytes", sum(file.stat().st_size for file in files), "bytes", len(files)),
            Measured("parameters", weights, "count"),
        ]
        own = [Measured("parameters", weights, "count")]
        if student.folder is not None:
            files = weights_in(student.folder)
            own.append(Measured("disk_bytes", sum(file.stat().st_size for file in files), "bytes", len(files)))
        if self.memory:
            told = resident(export.format, folder, self.prompt_tokens)
            beside = None if student.folder is None else resident("huggingface", student.folder, self.prompt_tokens)
            rows += [] if told is None else [Measured("resident_memory", told / MIB, "MiB", self.prompt_tokens)]
            own += [] if beside is None else [Measured("resident_memory", beside / MIB, "MiB", self.prompt_tokens)]
        return rows, own


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


def _log_softmax(runner: Runner, ids: list[int]) -> Tensor:
    """(C, V) log-probabilities of the file, which reads the text from its beginning."""
    runner.restart()
    return torch.from_numpy(runner.read(ids)).log_softmax(-1)


def _rows(name: str, step: int, seed: int, told: list[Measured], split: str) -> list[Row]:
    return [Row(name, m.metric, m.value, m.unit, split, step, seed, m.n, low=m.low, high=m.high) for m in told]


def _last(rows: list[Row]) -> list[Row]:
    """One row a metric: a runtime of the format's own has the last word."""
    return list({row.metric: row for row in rows}.values())
