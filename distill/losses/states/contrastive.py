"""A student's state must find its teacher's among those of other tokens."""

import torch
from torch import Tensor, nn

from distill.losses.quantity import Quantity
from distill.losses.states.compared import directions, wide
from distill.losses.states.groups import Groups, Within
from distill.losses.states.layered import Layered, StateMap
from distill.losses.states.projection import Projection
from distill.ranges import Count, Positive
from distill.types import Batch, ModelShape


class Contrastive(Layered):
    """Contrastive distillation: which of these tokens is it? The teacher's states of the others are the wrong answers.

    Formula: Σ_pairs −log softmax_j(cos(h_student,i U, h_teacher,j V) / τ) at j = i
    Source: Tian, Krishnan, Isola (2020). Contrastive Representation Distillation. arXiv:1910.10699
    Source: van den Oord, Li, Vinyals (2018). Representation Learning with Contrastive Predictive Coding.
        arXiv:1807.03748

    U and V are learned with the student, as in the paper.

    Args:
        weight: in the objective's total.
        layers: which answer to which; the paper compares final states.
        dimensions: that U and V lead to; the paper's 128.
        temperature: τ; the authors' code has 0.07.
        within: where the wrong answers come from: the same sample, or the whole micro-batch, whose value then depends
            on its size.

    The paper estimates a noise-contrastive bound with 16,384 wrong answers from a memory of the whole data set; a text
    brings its own wrong answers along, so there is no memory here, and the bound is InfoNCE.
    """

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        layers: StateMap = "final",
        dimensions: Count = 128,
        temperature: Positive = 0.07,
        within: Within = "sample",
    ) -> None:
        super().__init__(weight, layers)
        self.dimensions, self.temperature, self.within = dimensions, temperature, within
        self.own, self.told = nn.ModuleList(), nn.ModuleList()

    def prepare(self, student: ModelShape, teacher: ModelShape | None) -> None:
        super().prepare(student, teacher)
        if teacher is not None:
            self.own = nn.ModuleList(Projection(student.width, self.dimensions) for _ in self.pairs)
            self.told = nn.ModuleList(Projection(teacher.width, self.dimensions) for _ in self.pairs)

    def between(self, student: Tensor, teacher: Tensor, batch: Batch, pair: int) -> Tensor:
        groups = Groups.of(batch.owners, self.within)
        asked = groups.laid(directions(wide(self.own[pair](student))))  # (M, G, dimensions)
        answers = groups.laid(directions(wide(self.told[pair](teacher))))
        scores = asked @ answers.transpose(-1, -2) / self.temperature  # (M, G, G)
        scores = scores.masked_fill(~groups.filled[:, None, :], -torch.inf)
        right = scores.log_softmax(-1).diagonal(dim1=-2, dim2=-1)  # (M, G)
        return -groups.taken(right)

    def formula(self) -> str:
        return f"{super().formula()}, τ = {self.temperature:g}"
