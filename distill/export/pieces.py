"""Held-out text sample by sample, as an exported file reads it: one text at a time, with what student and teacher say.

The student reads the batch as it is packed; that a piece alone gives the same is what ``check_isolation`` promises.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.evaluation.measure import Tokens
from distill.evaluation.subject import Subject
from distill.models import answer
from distill.teachers.teacher import Teacher
from distill.types import Batch, Request, Signal


@dataclass(frozen=True)
class Piece:
    """A sample.

    Attributes:
        ids: C of them, each of which predicts a target.
        targets: (C,) int64.
        owner: the sample's number.
        bytes: that the targets of its whole batch spell, told with the batch's first sample and 0 after.
        log_q: (C, V) the student's log-probabilities.
        log_p: (C, V) the teacher's, where it speaks of the same tokens.
    """

    ids: list[int]
    targets: Tensor
    owner: int
    bytes: int
    log_q: Tensor
    log_p: Tensor | None

    def tokens(self, log_q: Tensor, log_p: Tensor | None) -> Tokens:
        """The same tokens as somebody else sees them."""
        return Tokens(log_q, self.targets, torch.full_like(self.targets, self.owner), self.bytes, log_p)


def pieces(student: Subject, batches: Iterable[Batch], teacher: Teacher | None, tokens: int | None) -> Iterator[Piece]:
    """Every sample of the batches, up to the batch that reaches ``tokens``; None takes all."""
    seen = samples = 0
    passes = 0 if teacher is None else teacher.passes
    for batch in batches:
        with torch.no_grad():
            outputs = answer(student.model, batch.inputs, batch.positions, vocabulary=student.vocabulary)
            signal = teacher.teach(batch, Request()) if teacher is not None and batch.spans is None else None
            read = batch.inputs["input_ids"].flatten()[batch.positions]  # (N,)
            for owner in range(len(batch.samples)):
                at = (batch.owners == owner).nonzero()[:, 0]
                if not len(at):
                    continue
                rows = slice(int(at[0]), int(at[-1]) + 1)
                logits = outputs.head.logits(outputs.hidden[rows])  # (C, V)
                told = batch.bytes if rows.start == 0 else 0
                log_p = _teacher_side(signal, rows, logits)
                targets = batch.targets[rows]
                yield Piece(read[rows].tolist(), targets, samples + owner, told, logits.log_softmax(-1), log_p)
        seen, samples = seen + batch.tokens, samples + len(batch.samples)
        if tokens is not None and seen >= tokens:
            break
    if teacher is not None:
        teacher.passes = passes


def _teacher_side(signal: Signal | None, rows: slice, logits: Tensor) -> Tensor | None:
    """(C, V) the teacher's, where it says something of the whole vocabulary."""
    if signal is None:
        return None
    log_p, _ = signal.pair(signal.chunk(rows), logits, 1.0)
    return log_p if log_p.shape == logits.shape else None
