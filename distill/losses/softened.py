"""What losses share that compare two softened distributions: temperature, its square, and the way of softening."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from distill.losses import citation
from distill.losses.chunk import Chunk
from distill.losses.gate import Gate
from distill.losses.loss import VocabularyLoss
from distill.losses.quantity import Quantity, number, shown, varying
from distill.losses.softening import Softening
from distill.ranges import Positive


class Softened(VocabularyLoss):
    """A vocabulary loss between the teacher's and the student's distribution at a temperature.

    Args:
        weight: in the objective's total.
        temperature: T of both sides; None takes the objective's.
        temperature_squared: multiply by T², so that the gradient's scale does not depend on T.
        softening: how the sides are softened at T; None divides both logits by T.
        gate: which tokens it speaks about; None for all.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    coarser: ClassVar[frozenset[str]] = frozenset({"topk"})

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        temperature: Positive | Quantity | None = None,
        temperature_squared: bool = True,
        softening: Softening | None = None,
        gate: Gate | None = None,
    ) -> None:
        super().__init__(weight, gate)
        self.temperature = temperature
        self.temperature_squared = temperature_squared
        self.softening = softening

    def unmet(self, provided: frozenset[str]) -> frozenset[str]:
        """A gate and a softening that looks at all logits are not served by the K likeliest tokens."""
        whole = self.gate is not None or (self.softening is not None and self.softening.whole)
        return self.asks - provided - (self.needs if not whole and self.coarser & provided else frozenset())

    @abstractmethod
    def between(self, log_p: Tensor, log_q: Tensor, targets: Tensor) -> Tensor:
        """(C, K'), (C, K'), (C,) -> (C,)."""

    @abstractmethod
    def inner_formula(self) -> str:
        """Of ``between``, with its numbers."""

    def per_token(self, chunk: Chunk) -> Tensor:
        temperature = chunk.temperature if self.temperature is None else number(self.temperature)
        if self.softening is None:
            (log_p, log_q), scale = chunk.pair(temperature), temperature**2
        else:
            (log_p, log_q), scale = self.softening(chunk, temperature), self.softening.scale(temperature)
        value = self.between(log_p, log_q, chunk.answers)  # (C,)
        value = value if chunk.heard is None else torch.where(chunk.heard, value, 0.0)
        each = scale.flatten() if isinstance(scale, Tensor) else scale  # 0-d or (C, 1) -> (1,) or (C,)
        return value * each if self.temperature_squared else value

    def in_force(self) -> dict[str, float]:
        return super().in_force() | varying({"temperature": self.temperature})

    def formula(self) -> str:
        told = [] if self.temperature is None else [f"T = {shown(self.temperature)}"]
        told += [] if self.softening is None else [self.softening.formula()]
        told += [] if self.gate is None else [f"where {self.gate.formula()}"]
        scale = "T² · " if self.temperature_squared else ""
        return f"{scale}[{self.inner_formula()}]" + "".join(f", {part}" for part in told)

    def sources(self) -> list[str]:
        parts = (self.softening, self.gate, self.temperature)
        return self.inner_sources() + [source for part in parts for source in citation.lines(type(part), "Source")]

    def inner_sources(self) -> list[str]:
        """The papers that ``between`` stands on."""
        return citation.lines(type(self), "Source")
