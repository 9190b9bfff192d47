"""Losses between states of layers that answer to each other, one pair at a time, summed over pairs."""

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from distill.layers import Pairs, pairs
from distill.losses.quantity import Quantity
from distill.losses.states.compared import Compared, wide
from distill.losses.states.projection import Project, projection
from distill.types import Batch, ModelShape, Outputs, Request

StateMap = Literal["uniform", "skip", "last", "final", "learned"] | list[list[int]]
"""A map of ``distill/layers.py`` or its listed pairs; ``learned``: every student layer with a mixture of all."""

LEARNED = "learned"
BLEND = "Passban et al. (2021). ALP-KD: Attention-Based Layer Projection for Knowledge Distillation. arXiv:2012.14022"


class Layered(Compared):
    """A loss between (N, D) states of student layers and of the teacher layers that they answer to.

    With ``learned`` a student layer answers to a mixture of all teacher layers, softmax(w) over layers, w learned and
    0 at the start (their mean). ALP-KD computes w from the states instead.

    Args:
        weight: in the objective's total.
        layers: which answer to which.
    """

    deeper: ClassVar[frozenset[str]] = frozenset({"layers"})
    """What it needs too, unless ``layers`` is ``final``."""
    blend: nn.Parameter | None

    def __init__(self, weight: float | Quantity = 1.0, layers: StateMap = "uniform") -> None:
        super().__init__(weight)
        self.layers = layers
        self.pairs: Pairs = ()
        self.register_parameter("blend", None)  # (student layers, teacher layers), only if learned

    @property
    def asks(self) -> frozenset[str]:
        return self.needs if self.layers == "final" else self.needs | self.deeper

    @property
    def request(self) -> Request:
        return Request(layers=self.layers != "final")

    def prepare(self, student: ModelShape, teacher: ModelShape | None) -> None:
        if teacher is None:
            return
        if self.layers == LEARNED:
            self.pairs = tuple((layer, layer) for layer in range(student.layers))  # the second is a row of ``blend``
            self.blend = nn.Parameter(torch.zeros(student.layers, teacher.layers))
        else:
            self.pairs = pairs(self.layers, student.layers, teacher.layers)

    @abstractmethod
    def between(self, student: Tensor, teacher: Tensor, batch: Batch, pair: int) -> Tensor:
        """Of one pair, the how manieth is told: (N, D), (N, D') -> (N,), float32 or wider. The teacher's states carry
        a gradient only to a learned mixture."""

    def per_token(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        values = [
            self.between(self._state(student, mine), self._target(teacher, theirs), batch, pair)
            for pair, (mine, theirs) in enumerate(self.pairs)
        ]
        return torch.stack(values).sum(0)

    def _state(self, outputs: Outputs, layer: int) -> Tensor:
        """After a decoder layer; nobody asks for the inner ones where only the final state is compared."""
        return wide(outputs.hidden if self.layers == "final" else outputs.layers[layer + 1])

    def _target(self, teacher: Outputs, layer: int) -> Tensor:
        if self.blend is None:
            return self._state(teacher, layer).detach()
        told = torch.stack([wide(state).detach() for state in teacher.layers[1:]])  # (layers, N, D)
        return torch.einsum("l,lnd->nd", self.blend[layer].softmax(-1).to(told.dtype), told)

    def formula(self) -> str:
        shown = self.layers if isinstance(self.layers, str) else [list(pair) for pair in self.layers]
        return f"{super().formula()}; layers {shown}"

    def sources(self) -> list[str]:
        return super().sources() + ([BLEND] if self.layers == LEARNED else [])


class Projected(Layered):
    """The same, the student's states brought to the teacher's width.

    Args:
        weight: in the objective's total.
        layers: which answer to which.
        project: how the widths are brought together.
        shared: one projection for all pairs; else one each.
    """

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        layers: StateMap = "uniform",
        project: Project = "auto",
        shared: bool = True,
    ) -> None:
        super().__init__(weight, layers)
        self.project, self.shared = project, shared
        self.projections = nn.ModuleList()

    def prepare(self, student: ModelShape, teacher: ModelShape | None) -> None:
        super().prepare(student, teacher)
        if teacher is not None:
            count = 1 if self.shared else len(self.pairs)
            made = (projection(self.project, student.width, teacher.width) for _ in range(count))
            self.projections = nn.ModuleList(made)

    @abstractmethod
    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N,)."""

    def between(self, student: Tensor, teacher: Tensor, batch: Batch, pair: int) -> Tensor:
        projected = self.projections[0 if self.shared else pair](student)  # (N, D of the teacher)
        return self.distance(wide(projected), teacher)
