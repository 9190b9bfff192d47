"""Losses between vectors of whole texts: the mean of a text's states, as sentence encoders have it.

A batch's samples are the texts, its supervised tokens all of theirs; a text's value is given to each of its tokens,
whose weights in the batch make every text count the same. Left out on purpose: pooling by the first token or the
largest.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from distill.losses.quantity import Quantity
from distill.losses.states.compared import Compared, directions, wide
from distill.losses.states.projection import Project, projection
from distill.types import Batch, ModelShape, Outputs


def pooled(hidden: Tensor, owners: Tensor, texts: int) -> Tensor:
    """The mean state of each text.

    Args:
        hidden: (N, D).
        owners: (N,) int64, whose state each is.
        texts: B; each has a state.

    Returns:
        (B, D), float32 or wider.
    """
    states = wide(hidden)
    sums = states.new_zeros(texts, states.shape[1]).index_add(0, owners, states)
    return sums / torch.bincount(owners, minlength=texts)[:, None]


class Pooled(Compared):
    """How far a text's vector is from the teacher's, both of length 1.

    Formula: cosine: 1 − cos(v_student W, v_teacher); square: ‖v̂_student − v̂_teacher‖² / D = 2 (1 − cos) / D; v the mean
        of a text's states
    Source: Reimers, N. & Gurevych, I. (2020). Making Monolingual Sentence Embeddings Multilingual using Knowledge
        Distillation. arXiv:2004.09813

    The authors' loss is the mean squared difference of vectors that may have any length; all-MiniLM's are used at
    length 1, and so they are compared.

    Args:
        weight: in the objective's total.
        distance: of the two; they differ by a constant factor.
        project: how the widths are brought together.
    """

    unit = "1/token"
    of_data: ClassVar[str | None] = "sentences"

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        distance: Literal["cosine", "square"] = "cosine",
        project: Project = "auto",
    ) -> None:
        super().__init__(weight)
        self.distance, self.project = distance, project

    def prepare(self, student: ModelShape, teacher: ModelShape | None) -> None:
        if teacher is not None:
            self.projection = projection(self.project, student.width, teacher.width)

    def per_token(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        texts = len(batch.samples)
        own = wide(self.projection(pooled(student.hidden, batch.owners, texts)))  # (B, D of the teacher)
        told = pooled(teacher.hidden, batch.owners, texts).detach()
        value = 1 - (directions(own) * directions(told)).sum(-1)
        return (value if self.distance == "cosine" else 2 * value / told.shape[1])[batch.owners]


class Similarity(Compared):
    """How alike the texts of a micro-batch are to each other; the widths need not agree.

    Formula: mean over other texts j of (cos(v_student(i), v_student(j)) − cos(v_teacher(i), v_teacher(j)))²
    Source: Tung, F. & Mori, G. (2019). Similarity-Preserving Knowledge Distillation. arXiv:1907.09682

    The paper divides each row of inner products by its length; vectors of texts are used by their cosine. The value
    depends on how a batch is cut: a text is compared with those beside it.

    Args:
        weight: in the objective's total.
    """

    unit = "1/token"
    of_data: ClassVar[str | None] = "sentences"

    def per_token(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        texts = len(batch.samples)
        own, told = (cosines(pooled(side.hidden, batch.owners, texts)) for side in (student, teacher))
        gap = (own - told.detach()).square()
        return (gap.sum(1) / max(texts - 1, 1))[batch.owners]  # the diagonals are equal


def cosines(vectors: Tensor) -> Tensor:
    """(B, D) -> (B, B)."""
    unit = directions(vectors)
    return unit @ unit.T
