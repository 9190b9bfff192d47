"""Divergences over the few likeliest tokens of a position: the top-K estimator of on-policy distillation.

The teacher runs here and could say everything; what is saved is what a server or a smaller product would have to say.
A teacher that keeps only its top-K is ``signals/topk.py``.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from distill.losses.divergence import Divergence
from distill.losses.gate import Gate
from distill.losses.quantity import Quantity
from distill.losses.softening import Softening
from distill.ranges import Count, Positive


class Coarsened(Divergence):
    """A divergence over K tokens and one for all others: on-policy distillation by the student's or teacher's top-K.

    D(p̃, q̃), p̃ = (p_1, …, p_K, 1 − Σ p_k) and q̃ likewise, of the K tokens likeliest to the student (SDFT, OPD) or to
    the teacher; a lower bound of the full divergence, equal to it at K = V. Without the tail both sides are scaled up
    to sum to one over the K, as "Revisiting On-Policy Distillation" (arXiv:2603.25562) does, and nothing is bounded.

    Args:
        divergence: (log p, log q) -> nats.
        k: K.
        of: whose likeliest.
        tail: keep all others as one token.
        weight: in the objective's total.
        temperature: T of both sides; None takes the objective's.
        temperature_squared: multiply by T².
        softening: how the sides are softened at T.
        gate: which tokens it speaks about.
        scheduled: numbers of the divergence that are not constants.
    """

    def __init__(
        self,
        divergence: Callable[..., Tensor],
        k: Count = 16,
        of: Literal["student", "teacher"] = "student",
        tail: bool = True,
        weight: float | Quantity = 1.0,
        temperature: Positive | Quantity | None = None,
        temperature_squared: bool = True,
        softening: Softening | None = None,
        gate: Gate | None = None,
        scheduled: dict[str, Quantity] | None = None,
    ) -> None:
        super().__init__(divergence, weight, temperature, temperature_squared, softening, gate, scheduled)
        self.k, self.of, self.tail = k, of, tail

    def between(self, log_p: Tensor, log_q: Tensor, targets: Tensor) -> Tensor:
        if self.k >= log_p.shape[-1]:
            return super().between(log_p, log_q, targets)
        chosen = (log_q.detach() if self.of == "student" else log_p).topk(self.k, dim=-1).indices  # (C, K)
        return super().between(self._coarse(log_p, chosen), self._coarse(log_q, chosen), targets)

    def _coarse(self, log: Tensor, chosen: Tensor) -> Tensor:
        """(C, V) -> (C, K + 1), or (C, K)."""
        kept = log.gather(-1, chosen)
        if not self.tail:
            return kept.log_softmax(-1)
        rest = log.scatter(-1, chosen, -torch.inf)  # summed over its own tokens: 1 − Σ has no digits where it is small
        empty = (rest == -torch.inf).all(-1, keepdim=True)
        left = rest.masked_fill(empty, 0.0).logsumexp(-1, keepdim=True).masked_fill(empty, -torch.inf)
        return torch.cat([kept, left], -1)

    def closed(self, shared: float | None) -> None:
        return None

    def inner_formula(self) -> str:
        rest = "and a tail" if self.tail else "scaled up"
        return f"over the {self.of}'s {self.k} likeliest tokens {rest}: {super().inner_formula()}"
