"""What every state loss begins with: both models' answers, side by side, in float32 or wider.

A loss here sees tokens of the student beside the same tokens of the teacher. Where the two have other tokenizers
there is no such pair, and it refuses.
"""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from distill.errors import BadInput
from distill.losses.loss import StateLoss
from distill.losses.quantity import Quantity
from distill.products import widened
from distill.types import Batch, Outputs, Signal


class Compared(StateLoss):
    """A loss between what student and teacher hold inside at the same tokens.

    Args:
        weight: in the objective's total.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"hidden"})

    def __init__(self, weight: float | Quantity = 1.0) -> None:
        super().__init__(weight)

    @abstractmethod
    def per_token(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        """One value a token: (N,), float32 or wider."""

    def forward(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> Tensor:
        """
        Raises:
            BadInput: the signal carries no states, or not of these tokens.
        """
        teacher = None if signal is None else signal.outputs
        place = f"loss {type(self).__name__}"
        if teacher is None:
            raise BadInput(
                place,
                "the teacher's signal carries no states",
                remedy="use a teacher that runs here and has the student's tokenizer",
            )
        if teacher.hidden.shape[0] != outputs.hidden.shape[0]:
            reason = f"{outputs.hidden.shape[0]} tokens of the student face {teacher.hidden.shape[0]} of the teacher"
            raise BadInput(place, reason, remedy="compare states only where both models have one tokenizer")
        with torch.autocast(outputs.hidden.device.type, enabled=False):  # which would round products to half precision
            return self.per_token(outputs, teacher, batch)


def directions(states: Tensor) -> Tensor:
    """(…, D) of length 1; a state of length 0 has no direction: 0, and no gradient.

    ``functional.normalize`` gives it the gradient of a line through 0, a trillion times too steep.
    """
    length = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
    flat = length == 0
    return torch.where(flat, 0.0, states / torch.where(flat, 1.0, length))


def wide(states: Tensor) -> Tensor:
    """Half precision widened to float32; the rest as it is."""
    return states.to(widened(states.dtype))
