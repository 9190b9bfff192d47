"""How the two sides are softened before they are compared, where it is not by one temperature for both.

Composes with every divergence. A constant added to all logits of a position changes nothing, so standardising logits
is softening each position by a temperature of its own: T times their standard deviation.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from distill.losses.chunk import Chunk
from distill.ranges import Positive


class Softening(nn.Module, ABC):
    """From a temperature to two log-probabilities.

    Attributes:
        whole: it needs every logit of the teacher.
    """

    whole: ClassVar[bool] = False

    @abstractmethod
    def forward(self, chunk: Chunk, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        """(log p, log q), each (C, K')."""

    @abstractmethod
    def scale(self, temperature: float | Tensor) -> float | Tensor:
        """What keeps the gradient's scale: T² where both sides are divided by T."""

    @abstractmethod
    def formula(self) -> str:
        """How each side is softened."""


class PerSide(Softening):
    """A factor on the temperature for each side: a sharper or flatter teacher than the student is asked to be.

    Formula: p = softmax(z_teacher / (t T)), q = softmax(z_student / (s T)), scale t s T²

    Args:
        teacher: t.
        student: s.
    """

    def __init__(self, teacher: Positive = 1.0, student: Positive = 1.0) -> None:
        super().__init__()
        self.teacher, self.student = teacher, student

    def forward(self, chunk: Chunk, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        return chunk.pair_at(self.teacher * temperature, self.student * temperature)

    def scale(self, temperature: float | Tensor) -> float | Tensor:
        return self.teacher * self.student * temperature**2

    def formula(self) -> str:
        return f"teacher at {self.teacher:g} T, student at {self.student:g} T"


class Standardised(Softening):
    """Logit standardisation: both sides' logits have mean 0 and standard deviation 1 before they are softened.

    Formula: p = softmax(Z(z_teacher) / T), q = softmax(Z(z_student) / T), Z(z) = (z − mean z) / (std z + ε)
    Source: Sun et al. (2024). Logit Standardization in Knowledge Distillation. arXiv:2403.01427

    Args:
        epsilon: ε, the authors' 1e-7.

    The student need not match the size of the teacher's logits, only their shape. The standard deviation is the
    unbiased one, over tokens that are not excluded, and carries the student's gradient, as in the authors' code. It
    needs a teacher of the whole vocabulary.
    """

    whole: ClassVar[bool] = True

    def __init__(self, epsilon: Positive = 1e-7) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, chunk: Chunk, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        teacher = self._deviation(chunk.pair(1.0)[0])  # log p differs from the logits by a constant
        return chunk.pair_at(temperature * teacher, temperature * self._deviation(chunk.logits))

    def scale(self, temperature: float | Tensor) -> float | Tensor:
        return temperature**2

    def formula(self) -> str:
        return "logits standardised"

    def _deviation(self, logits: Tensor) -> Tensor:
        """(C, V) -> (C, 1)."""
        allowed = logits > -torch.inf
        count = allowed.sum(-1, keepdim=True)
        known = torch.where(allowed, logits, 0.0)
        centred = torch.where(allowed, known - known.sum(-1, keepdim=True) / count, 0.0)
        variance = centred.square().sum(-1, keepdim=True) / (count - 1)
        flat = variance == 0  # logits that are all alike: the root has no slope there, and 0 times it is what is meant
        return torch.where(flat, 0.0, torch.where(flat, 1.0, variance).sqrt()) + self.epsilon
