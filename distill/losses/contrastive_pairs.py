"""DistiLLM-2: pull the student towards what the teacher wrote, push it away from what it wrote itself.

Written from the paper's formulas. Left out on purpose: the authors' trainer in which both curricula are switched off,
and its stop-gradient inside the mixture.
"""

from typing import ClassVar

import torch
from torch import Tensor

from distill.divergences.expectation import kl_to_near_mixture
from distill.errors import BadInput
from distill.losses.loss import StateLoss
from distill.losses.pieces import at, of_tokens
from distill.losses.quantity import Quantity
from distill.ranges import Share
from distill.types import Batch, Moment, Outputs, Signal

TEACHER = 2
"""Of ``Batch.labels["writers"]``: who wrote a token."""
LEAST = 1e-2
"""The smallest α of the curriculum."""


class ContrastivePairs(StateLoss):
    """Skewed forward KL on the teacher's texts, skewed reverse KL on the student's (DistiLLM-2).

    Formula: (1 − β/2) KL(p ‖ α p + (1 − α) q) on y ~ p, (β/2) KL(q ‖ (1 − α) p + α q) on y ~ q; β grows from 1;
        with the curriculum, of each text α = clip(1 − (1 − α₀) m / |p(y) − q(y)|, 0.01, α₀), m their mean
    Source: Ko et al. (2025). DistiLLM-2: A Contrastive Approach Boosts the Distillation of LLMs. arXiv:2503.07067

    p(y) and q(y) are a text's likelihoods a token (geometric means), m is over the texts of one writer in the
    micro-batch: the paper's first-order rule leaves both open, and its release trains without it. Sums are over tokens;
    the paper averages each text first. With the curriculum a micro-batch is not cut without changing m.

    Args:
        skew: α₀.
        until: β at the last step; 1 weighs both sides alike throughout. The paper's 1.5.
        curriculum: α by text.
        weight: in the objective's total.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    written: ClassVar[bool] = True

    def __init__(
        self, skew: Share = 0.1, until: float = 1.5, curriculum: bool = False, weight: float | Quantity = 1.0
    ) -> None:
        super().__init__(weight)
        self.skew, self.until, self.curriculum = skew, until, curriculum
        self.push = 1.0

    def settle(self, moment: Moment) -> None:
        self.push = 1.0 + (self.until - 1.0) * moment.progress

    def forward(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> Tensor:
        """
        Raises:
            BadInput: nobody says who wrote the text.
        """
        assert signal is not None, "the objective does not measure it without a teacher"
        if "writers" not in batch.labels:
            raise BadInput("objective", "is about pairs of texts that models wrote", remedy="use rollout=pairs")
        taught = batch.labels["writers"] == TEACHER  # (N,)
        skews = self._skews(outputs, signal, batch, taught)

        def make(log_p: Tensor, log_q: Tensor, rows: slice) -> Tensor:
            share = (1 - skews[rows])[:, None].to(log_q)
            pull = kl_to_near_mixture(log_p, log_q, share)
            push = kl_to_near_mixture(log_q, log_p, share)
            return torch.where(taught[rows], (1 - self.push / 2) * pull, self.push / 2 * push)[:, None]

        return of_tokens(outputs, signal, make)[:, 0]

    @torch.no_grad()
    def _skews(self, outputs: Outputs, signal: Signal, batch: Batch, taught: Tensor) -> Tensor:
        """(N,) α of each token's text."""
        fixed = torch.full(taught.shape, self.skew, device=taught.device)
        if not self.curriculum:
            return fixed

        def make(log_p: Tensor, log_q: Tensor, rows: slice) -> Tensor:
            return torch.stack([at(log_p, batch.targets[rows]), at(log_q, batch.targets[rows])], -1)

        logs = of_tokens(outputs, signal, make).double()  # (N, 2)
        counts = torch.bincount(batch.owners, minlength=len(batch.samples)).clamp(min=1)
        sums = logs.new_zeros(len(batch.samples), 2).index_add_(0, batch.owners, logs)
        likely = (sums / counts[:, None]).exp()  # (B, 2)
        gap = (likely[:, 0] - likely[:, 1]).abs().clamp(min=1e-12)[batch.owners]  # (N,)
        for side in (taught, ~taught):
            if side.any():
                owners = batch.owners[side].unique()
                mean = (likely[owners, 0] - likely[owners, 1]).abs().mean()
                fixed[side] = (1 - (1 - self.skew) * mean / gap[side]).clamp(min(LEAST, self.skew), self.skew).float()
        return fixed

    def in_force(self) -> dict[str, float]:
        return super().in_force() | ({"push": self.push} if self.until != 1 else {})
