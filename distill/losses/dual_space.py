"""Dual-space distillation (DSKD): each model's state brought into the other's space and read by the other's head.

Two tokenizers need no common vocabulary for it, only positions at which both have read the same text. The projections
live here: they are optimised and checkpointed with the objective, and are no part of the student.

Left out on purpose: the variant that finds positions by cross-attention over embeddings (CMA). Positions come from the
alignment (``alignment=byte_spans``), exactly.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from distill.divergences.kl import forward_kl
from distill.errors import BadInput
from distill.losses import citation
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.divergence import Divergence
from distill.losses.gate import TeacherCorrect
from distill.losses.loss import StateLoss, VocabularyLoss
from distill.losses.quantity import Quantity
from distill.losses.states.projection import Projection
from distill.losses.vocabulary import Pass, weigh
from distill.products import widened
from distill.signals.hidden import Hidden
from distill.types import Batch, Head, ModelShape, Outputs, Signal

CHUNK = 256


class DualSpace(StateLoss):
    """DSKD: agree in the student's space, agree in the teacher's space, and learn the way from one to the other.

    Formula: D(p', q) + CE(y, p') + KL(p ‖ q'), p' = softmax(student head(A h_teacher)),
        q' = softmax(teacher head(B h_student)), A and B learned, p' detached in D
    Source: Zhang et al. (2024). Dual-Space Knowledge Distillation for Large Language Models. arXiv:2406.17328

    The cross-entropy teaches A alone; the student's head is not moved by it. D counts only tokens where the projected
    teacher is right (argmax p' = y): in the paper's code a mask that is easy to miss. No temperature, no T².

    Sums over the positions at which both have read the same text; the term has no tokens of its own and is spread
    evenly over the supervised ones.

    Args:
        divergence: D, (log p, log q) -> nats; in yaml a ``_partial_`` of a function of ``distill.divergences``.
        only_correct: the mask on D.
        weight: in the objective's total.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"hidden"})

    def __init__(
        self, divergence: Callable[..., Tensor], only_correct: bool = True, weight: float | Quantity = 1.0
    ) -> None:
        super().__init__(weight)
        gate = TeacherCorrect() if only_correct else None
        self.in_student = Divergence(divergence, temperature=1.0, gate=gate)
        self.in_teacher = Divergence(forward_kl, temperature=1.0)
        self.to_student: Projection | None = None
        self.to_teacher: Projection | None = None

    def prepare(self, student: ModelShape, teacher: ModelShape | None) -> None:
        if teacher is not None:
            self.to_student = Projection(teacher.width, student.width)
            self.to_teacher = Projection(student.width, teacher.width)

    def forward(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> Tensor:
        """
        Raises:
            BadInput: the teacher's signal carries no states.
        """
        ours, theirs, targets = _side_by_side(outputs, signal, batch)
        assert self.to_student is not None, "prepare comes first"
        assert self.to_teacher is not None
        if not targets.numel():
            return outputs.hidden.new_zeros(batch.tokens, dtype=widened(outputs.hidden.dtype))
        with torch.autocast(outputs.hidden.device.type, enabled=False):
            head = _fixed(ours.head)
            projected = self.to_student(theirs.hidden)  # (G, D)
            total = _sum(CrossEntropy(), Outputs(projected, head), None, targets)
            total = total + _sum(self.in_student, ours, Hidden(projected.detach(), head), targets)
            back = Outputs(self.to_teacher(ours.hidden), _fixed(theirs.head))  # (G, D of the teacher)
            total = total + _sum(self.in_teacher, back, Hidden(theirs.hidden, theirs.head), targets)
        return (total / batch.tokens).expand(batch.tokens)

    def formula(self) -> str:
        told = self.in_student.formula()
        return f"D(p', q) + CE(y, p') + KL(p ‖ q'), D = {told}, p' and q' projected into the other's space"

    def sources(self) -> list[str]:
        return citation.lines(type(self), "Source") + self.in_student.inner_sources()


def _side_by_side(outputs: Outputs, signal: Signal | None, batch: Batch) -> tuple[Outputs, Outputs, Tensor]:
    """Student, teacher and targets at the G positions where both have read the same text."""
    told = None if signal is None else signal.spanned
    heard = signal if told is None else told.teacher
    answered = None if heard is None else heard.outputs
    if answered is None:
        reason = "the teacher's signal carries no states"
        raise BadInput("loss DualSpace", reason, remedy="use a teacher that runs here")
    if told is None:
        return outputs, answered, batch.targets
    ours = Outputs(outputs.hidden[told.first], outputs.head)
    theirs = Outputs(answered.hidden[told.teacher_first].detach(), answered.head)
    return ours, theirs, batch.targets[told.first]


def _sum(loss: VocabularyLoss, outputs: Outputs, signal: Signal | None, targets: Tensor) -> Tensor:
    """Over all positions, by the one pass."""
    this = Pass((loss,), 1, 1.0, outputs.head, signal, targets, CHUNK)
    return weigh(outputs, this, [1.0])[0]


def _fixed(head: Head) -> Head:
    return replace(head, weight=head.weight.detach(), bias=None if head.bias is None else head.bias.detach())
