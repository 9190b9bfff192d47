"""A few tokens drawn from what the teacher thinks, with how often each came.

Formula: t_i = c_i / n, c ~ Multinomial(n, p); E[t] = p, so E[−Σ t_i log q_i] = −Σ p_i log q_i
Source: Anshumann et al. (2025). Sparse Logit Sampling: Accelerating Knowledge Distillation in LLMs. arXiv:2503.16870,
    section 3.

An unbiased estimate of soft cross-entropy, gradient included, and of nothing else: the mean of log t is not log p, so
no other divergence of t says what it seems to. The signal therefore answers the need ``sampled`` alone.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from distill.signals.softening import log_probabilities
from distill.signals.tied import refuse_other
from distill.types import Signal


@dataclass(frozen=True)
class Sampled(Signal):
    """Draws at one temperature.

    Attributes:
        ids: (N, K) int64, different tokens a position; any id where ``counts`` is 0.
        counts: (N, K) how often each was drawn, 0 as padding.
        temperature: of the distribution they were drawn from.
        vocabulary: V.
    """

    ids: Tensor
    counts: Tensor
    temperature: float
    vocabulary: int
    provides: ClassVar[frozenset[str]] = frozenset({"sampled"})

    @classmethod
    def of(cls, logits: Tensor, uniform: Tensor, temperature: float) -> "Sampled":
        """Draw from whole logits (N, V) by inverting the distribution function.

        Args:
            uniform: (N, n) float64 in [0, 1), one for each draw: whoever gives the same gets the same.
        """
        upto = log_probabilities(logits, temperature).double().exp().cumsum(-1)  # (N, V)
        drawn = torch.searchsorted(upto, uniform * upto[:, -1:], right=True)  # (N, n); a token of p = 0 is never hit
        return cls(*_counted(drawn.clamp(max=upto.shape[1] - 1)), temperature, upto.shape[1])

    def at(self, rows: Tensor) -> "Sampled":
        return Sampled(self.ids[rows], self.counts[rows], self.temperature, self.vocabulary)

    def chunk(self, rows: slice) -> tuple[Tensor, ...]:
        """(C, K) ids; (C, K) log t, −inf as padding."""
        counts = self.counts[rows]
        wide = counts.to(torch.float64 if counts.dtype is torch.float64 else torch.float32)
        return self.ids[rows], (wide / wide.sum(-1, keepdim=True)).log()

    def pair(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        """(log t, log q), each (C, K). Only the drawn tokens' log q, which does not sum to 1 over them."""
        refuse_other(self.temperature, temperature, "sampled")
        ids, log_t = chunk
        assert logits.shape[-1] == self.vocabulary, (
            f"{self.vocabulary} tokens stored, {logits.shape[-1]} of the student"
        )
        return log_t, log_probabilities(logits, temperature).gather(-1, ids)


def _counted(drawn: Tensor) -> tuple[Tensor, Tensor]:
    """(N, n) draws -> (N, K) different ids and their counts, K the most of any position."""
    ordered = drawn.sort(-1).values
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    place = new.long().cumsum(-1) - 1  # (N, n) which of its different ids a draw is
    width = int(new.sum(-1).max()) if drawn.numel() else 0
    ids = torch.zeros(drawn.shape[0], width, dtype=torch.long, device=drawn.device).scatter_(-1, place, ordered)
    counts = torch.zeros_like(ids).scatter_add_(-1, place, torch.ones_like(ordered))
    return ids, counts
