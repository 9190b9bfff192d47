"""A number of an objective that is not a constant: it follows a schedule, or it is learned.

Anything that takes ``float | Quantity`` (a weight, a temperature, a skew) may be given either. A constant
stays a plain number, so that compiled code can fold it in; a quantity is a 0-d tensor that changes without
recompiling.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from distill.types import Moment


class Quantity(nn.Module, ABC):
    """One number, told anew at each step.

    Attributes:
        varies: false if it is the same at every step after all.
    """

    varies: ClassVar[bool] = True

    def settle(self, moment: Moment) -> None:
        """Take the value that belongs to this moment; called once before anything reads it."""
        return

    @abstractmethod
    def forward(self) -> Tensor:
        """The value now, 0-d; with a gradient if it is learned."""

    @abstractmethod
    def formula(self) -> str:
        """How it is made, with its numbers."""

    def penalty(self) -> Tensor | None:
        """What is added to the total per supervised token when this is a weight; None for nothing."""
        return None

    @property
    def off(self) -> bool:
        """Exactly 0 now, and not by chance: as a weight, the term adds nothing and gets no gradient."""
        return False


def number(value: "float | Quantity") -> float | Tensor:
    """The value now: itself if it is a constant."""
    return value() if isinstance(value, Quantity) else float(value)


def varying(numbers: "Mapping[str, float | Quantity | nn.Module | None]") -> dict[str, float]:
    """The values now of those that are no constants."""
    return {name: value().item() for name, value in numbers.items() if isinstance(value, Quantity) and value.varies}


def settle(module: nn.Module, moment: Moment) -> None:
    """Let every quantity inside a module take the value of this moment."""
    for part in module.modules():
        if isinstance(part, Quantity):
            part.settle(moment)


def shown(value: "float | str | nn.Module") -> str:
    """A number as a formula shows it."""
    if isinstance(value, Quantity):
        return value.formula()
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_off(value: "float | Quantity") -> bool:
    """Exactly 0 now."""
    return value.off if isinstance(value, Quantity) else value == 0


def as_tensor(value: float | Tensor, like: Tensor) -> Tensor:
    """0-d, of the dtype and device of ``like``."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)
