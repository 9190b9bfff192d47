"""What every loss is, and the two kinds there are.

A *vocabulary* loss needs the student's logits: it is evaluated inside the one pass over the vocabulary, on a
chunk of C tokens at a time, so that no (N, V) tensor ever exists. A *state* loss needs anything else (hidden
states, attention) and is evaluated once beside the pass. Both give one value a token; weights, sums and
temperatures shared by several losses belong to ``objective.py``.

A loss is a module: what it learns or adapts lives in it, is optimised and checkpointed with the objective,
and is never part of the student.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from distill.losses import citation
from distill.losses.chunk import Chunk
from distill.losses.closed import Closed
from distill.losses.gate import Gate
from distill.losses.quantity import Quantity, varying
from distill.types import Batch, ModelShape, Moment, Outputs, Request, Signal


class Loss(nn.Module, ABC):
    """One named term of an objective.

    Attributes:
        needs: what it asks of a teacher's signal; compared with what the teacher provides before a weight is
            loaded.
        coarser: signals that do where it needs logits: what it says of a coarsened distribution is a bound, not noise.
        unit: of its value, per token: ``1/token`` where a distance between states has none.
        weight: its factor in the objective's total; a number, a schedule, or something learned.
    """

    needs: ClassVar[frozenset[str]]
    of_data: ClassVar[str | None] = None
    """The kind of data that it is about; None is any."""
    coarser: ClassVar[frozenset[str]] = frozenset()
    unit: str = "nats/token"

    def __init__(self, weight: float | Quantity = 1.0) -> None:
        super().__init__()
        self.weight = weight

    @property
    def asks(self) -> frozenset[str]:
        """Its needs and those of its parts."""
        return self.needs

    def unmet(self, provided: frozenset[str]) -> frozenset[str]:
        """What it asks and a teacher that provides this cannot answer."""
        return self.asks - provided

    @property
    def request(self) -> Request:
        """What it wants from the student beside its final states."""
        return Request()

    @property
    def teacher_request(self) -> Request:
        """What it wants from the teacher, whose layers have other numbers and maybe other names."""
        return self.request

    def prepare(self, student: ModelShape, teacher: ModelShape | None) -> None:
        """Make what depends on the models' sizes (projections). Called once, before the optimiser is
        built."""
        return

    def settle(self, moment: Moment) -> None:
        """Hear where the training stands, before anything is evaluated. Adaptive losses move on here, once a step."""
        return

    def observe(self, value: Tensor, tokens: int, moment: Moment) -> None:
        """Hear the term's sum over this micro-batch (detached), in training only. Adaptive losses learn from
        it."""
        return

    def in_force(self) -> dict[str, float]:
        """Its numbers that are no constants, as they are now, by what they are called; a run logs them."""
        return varying({"weight": self.weight})

    def formula(self) -> str:
        """The term with its numbers in it, without its weight."""
        return citation.line(type(self), "Formula")

    def sources(self) -> list[str]:
        """The papers that this term, as configured, stands on."""
        return citation.lines(type(self), "Source")


class VocabularyLoss(Loss):
    """Evaluated inside the one pass. Must depend on its arguments and its own numbers only: it may be compiled.

    Args:
        weight: in the objective's total.
        gate: which tokens it speaks about; None for all.
    """

    def __init__(self, weight: float | Quantity = 1.0, gate: Gate | None = None) -> None:
        super().__init__(weight)
        self.gate = gate

    @property
    def asks(self) -> frozenset[str]:
        return self.needs if self.gate is None else self.needs | self.gate.needs

    @abstractmethod
    def per_token(self, chunk: Chunk) -> Tensor:
        """One value a token, before the gate: (C,), float32 or wider."""

    def closed(self, shared: float | None) -> Closed | None:
        """The same as a sum that the compiled row kernel knows, at this moment; None: it is evaluated as it is written.

        Args:
            shared: the objective's temperature; None where each token has its own.
        """
        return None

    def forward(self, chunk: Chunk) -> Tensor:
        """One value a token: (C,), float32 or wider; 0 where the gate is shut."""
        value = self.per_token(chunk)
        return value if self.gate is None else torch.where(self.gate(chunk), value, 0.0)


class StateLoss(Loss):
    """Evaluated once beside the pass, on all supervised tokens."""

    @abstractmethod
    def forward(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> Tensor:
        """One value a token: (N,), float32 or wider. What has no token of its own is spread evenly over
        them."""
