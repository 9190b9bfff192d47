"""A teacher's logits, kept: one number per position and token.

For teachers that have no head of their own to re-apply (an ensemble, a server that returns everything) and
for tests. Where the teacher has a head, ``signals/hidden.py`` says the same in V / D times less memory.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from distill.signals.softening import pair
from distill.types import Signal


@dataclass(frozen=True)
class Dense(Signal):
    """The whole vocabulary, exact at every temperature.

    Attributes:
        values: (N, V) logits, or log-probabilities: a constant per position makes no difference. −inf
            excludes a token.
    """

    values: Tensor
    provides: ClassVar[frozenset[str]] = frozenset({"logits"})
    whole: ClassVar[bool] = True

    def at(self, rows: Tensor) -> "Dense":
        return Dense(self.values[rows])

    def chunk(self, rows: slice) -> tuple[Tensor, ...]:
        return (self.values[rows].detach(),)

    def pair(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        (teacher,) = chunk
        return pair(teacher, logits, temperature)
