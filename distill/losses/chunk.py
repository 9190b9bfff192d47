"""What a vocabulary loss sees of C supervised tokens: logits, targets, and the teacher's word on one
support."""

import torch
from torch import Tensor

from distill.types import Signal


class Chunk:
    """C supervised tokens inside the one pass over the vocabulary.

    Attributes:
        logits: (C, V) the student's, scale and soft cap applied, float32 or wider, with a gradient in
            training.
        targets: (C,) the token that comes.
        temperature: the objective's, shared by every loss that has none of its own.
    """

    def __init__(
        self,
        logits: Tensor,
        targets: Tensor,
        signal: Signal | None,
        told: tuple[Tensor, ...],
        temperature: float | Tensor,
    ) -> None:
        self.logits, self.targets, self.temperature = logits, targets, temperature
        self._signal, self._told = signal, told
        self.heard = None if signal is None else signal.heard(told)  # (C,) bool: where the teacher says anything
        self._pairs: list[tuple[float | Tensor, tuple[Tensor, Tensor]]] = []

    @property
    def answers(self) -> Tensor:
        """(C,) where the targets lie on the support of ``pair``."""
        return self.targets if self._signal is None else self._signal.answers(self._told, self.targets)

    def pair(self, temperature: float | Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(log p, log q), each (C, K'), at a temperature; made once for all losses that share it."""
        asked = self.temperature if temperature is None else temperature
        for known, pair in self._pairs:
            if known is asked or (isinstance(known, float) and isinstance(asked, float) and known == asked):
                return pair
        pair = self.pair_at(asked, asked)
        self._pairs.append((asked, pair))
        return pair

    def pair_at(self, teacher: float | Tensor, student: float | Tensor) -> tuple[Tensor, Tensor]:
        """(log p, log q) where each side has a temperature of its own: a number, 0-d, or (C, 1). Not
        cached."""
        assert self._signal is not None, "a loss that reads the teacher met a batch without a signal"
        if student is teacher:
            return self._signal.pair(self._told, self.logits, teacher)
        factor = teacher / student  # softening the student's logits by T_p / T_q first leaves it at T_q
        logits = self.logits
        if isinstance(factor, Tensor):  # −inf · d(factor) would be a NaN gradient
            excluded = logits == -torch.inf
            logits = (logits.masked_fill(excluded, 0.0) * factor).masked_fill(excluded, -torch.inf)
        else:
            logits = logits * factor
        return self._signal.pair(self._told, logits, teacher)
