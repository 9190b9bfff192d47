"""A teacher's K likeliest tokens and one bucket for all others.

Formula: p̃ = (p_1, …, p_K, 1 − Σ p_k), q̃ = (q at the same tokens, 1 − Σ q_k)

Both sides are coarsened alike, so a divergence of them is a divergence of two distributions: never negative, and for
every f-divergence a lower bound of the one over the whole vocabulary (data processing), equal to it at K = V. Without
the bucket, sums over K go negative, and reverse KL is smallest where the student has left the K tokens altogether.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from distill.signals.bucket import bucketed
from distill.signals.softening import log_probabilities
from distill.signals.tied import refuse_other
from distill.types import Signal


@dataclass(frozen=True)
class TopK(Signal):
    """The coarsened distribution, at one temperature.

    Attributes:
        ids: (N, K) int64, different tokens.
        values: (N, K) their log-probabilities at ``temperature``, any floating dtype; −inf for a token that the
            teacher excludes.
        tail: (N,) float32, the log-probability of all other tokens together; −inf at K = V.
        temperature: at which they were taken.
        vocabulary: V.
    """

    ids: Tensor
    values: Tensor
    tail: Tensor
    temperature: float
    vocabulary: int
    provides: ClassVar[frozenset[str]] = frozenset({"topk"})

    @classmethod
    def of(cls, logits: Tensor, k: int, temperature: float) -> "TopK":
        """Of whole logits (N, V). The tail is summed over its own tokens: 1 − Σ p_k has no digits left where it is
        small."""
        log_p = log_probabilities(logits, temperature)  # (N, V)
        k = min(k, log_p.shape[1])
        values, ids = log_p.topk(k, dim=-1)  # (N, K)
        return cls(ids, values, bucketed(log_p, ids)[:, -1], temperature, log_p.shape[1])

    def at(self, rows: Tensor) -> "TopK":
        return TopK(self.ids[rows], self.values[rows], self.tail[rows], self.temperature, self.vocabulary)

    def chunk(self, rows: slice) -> tuple[Tensor, ...]:
        """(C, K) ids; (C, K + 1) log p̃, which sums to 1 again after whatever rounding the values went through."""
        values = self.values[rows].detach()
        wide = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
        if self.ids.shape[1] == self.vocabulary:
            return self.ids[rows], wide.log_softmax(-1)  # (C, V) no tail
        return self.ids[rows], torch.cat([wide, self.tail[rows, None].to(wide.dtype)], dim=-1).log_softmax(-1)

    def pair(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        refuse_other(self.temperature, temperature, "top-K")
        ids, log_p = chunk
        assert logits.shape[-1] == self.vocabulary, (
            f"{self.vocabulary} tokens stored, {logits.shape[-1]} of the student"
        )
        wide = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
        softened = wide if self.temperature == 1.0 else wide * (1.0 / self.temperature)
        if ids.shape[-1] == self.vocabulary:
            return log_p, softened.gather(-1, ids).log_softmax(-1)
        return log_p, bucketed(softened, ids).log_softmax(-1)

    def answers(self, chunk: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """(C,) a target's place among the K, or K: in the tail."""
        ids, _ = chunk
        found = ids == targets[:, None]  # (C, K)
        return torch.where(found.any(-1), found.int().argmax(-1), ids.shape[-1])
