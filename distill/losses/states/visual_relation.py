"""How a picture's tokens resemble each other: the same pattern in a student's eyes as in its teacher's."""

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from distill.errors import BadInput
from distill.losses.quantity import Quantity
from distill.losses.states.compared import Compared, directions, wide
from distill.types import Batch, Outputs, Request


class VisualRelation(Compared):
    """One minus the cosine between both models' self-correlations of visual tokens; widths need not agree.

    Formula: 1 − cos(R_student, R_teacher), R = H Hᵀ / (‖h_i‖ ‖h_j‖), H (P, D) the picture's P tokens
    Source: Cai et al. (2024). LLaVA-KD: A Framework of Distilling Multimodal Large Language Models. arXiv:2410.16236

    A number of a sample, given to each of its supervised tokens. A teacher with a finer grid of patches is averaged to
    the student's. The paper's divergence of logits at visual tokens is left out: nothing is predicted there.

    Args:
        weight: in the objective's total.
        module: path of the student's module whose output (B, P, D) is compared.
        teacher_module: the same of the teacher; the student's if None.

    Raises:
        BadInput: the output is no (B, P, D), or one grid does not divide the other.
    """

    unit = "1/token"
    needs: ClassVar[frozenset[str]] = frozenset({"hidden", "layers"})
    of_data: ClassVar[str | None] = "image_text"

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        module: str = "model.multi_modal_projector",
        teacher_module: str | None = None,
    ) -> None:
        super().__init__(weight)
        self.module, self.teacher_module = module, teacher_module or module

    @property
    def request(self) -> Request:
        return Request(modules=(self.module,))

    @property
    def teacher_request(self) -> Request:
        return Request(modules=(self.teacher_module,))

    def per_token(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        own, told = wide(student.modules[self.module]), wide(teacher.modules[self.teacher_module]).detach()
        if own.dim() != 3 or told.dim() != 3:
            place = f"loss {type(self).__name__}"
            raise BadInput(place, "the module's output is no row of tokens a picture", value=tuple(own.shape))
        return gap(own, brought(told, own.shape[1]))[batch.owners]


def gap(own: Tensor, told: Tensor) -> Tensor:
    """(B, P, D), (B, P, D') -> (B,)."""
    ours, theirs = (_relations(one).flatten(1) for one in (own, told))
    return 1 - (directions(ours) * directions(theirs)).sum(-1)


def brought(told: Tensor, count: int) -> Tensor:
    """(B, P', D) -> (B, count, D): squares of neighbouring patches averaged.

    Raises:
        BadInput: one side of a grid is no multiple of the other's.
    """
    if told.shape[1] == count:
        return told
    fine, coarse = math.isqrt(told.shape[1]), math.isqrt(count)
    if fine**2 != told.shape[1] or coarse**2 != count or fine % coarse:
        reason = f"the teacher's {told.shape[1]} visual tokens are no refinement of the student's {count}"
        raise BadInput("loss VisualRelation", reason, remedy="choose patches whose grids divide each other")
    grid = told.transpose(1, 2).unflatten(2, (fine, fine))  # (B, D, side, side)
    return functional.avg_pool2d(grid, fine // coarse).flatten(2).transpose(1, 2)


def _relations(states: Tensor) -> Tensor:
    unit = directions(states)
    return torch.bmm(unit, unit.transpose(1, 2))  # (B, P, P)
