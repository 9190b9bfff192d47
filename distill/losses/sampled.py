"""Random sampling distillation: the cross-entropy with a few tokens that the teacher drew.

Left out on purpose: every other divergence of the draws. log t is no estimate of log p.
"""

from typing import ClassVar

from torch import Tensor

from distill.divergences.soft_cross_entropy import soft_cross_entropy
from distill.losses.softened import Softened


class SampledCrossEntropy(Softened):
    """Cross-entropy with tokens drawn from the teacher: an unbiased estimate of soft cross-entropy.

    Formula: −Σ (c_i / n) log q_i, c ~ Multinomial(n, p)
    Source: Anshumann et al. (2025). Sparse Logit Sampling: Accelerating Knowledge Distillation in LLMs.
        arXiv:2503.16870

    The expectation of value and gradient is that of −Σ p log q. Draws are stored, so an epoch later they are the same
    ones: the noise of a token is averaged over tokens, not over time.

    Args:
        weight: in the objective's total.
        temperature: T of both sides; None takes the objective's. The draws' own, or it is refused.
        temperature_squared: multiply by T².
        softening: how the sides are softened at T.
        gate: which tokens it speaks about.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"sampled"})
    coarser: ClassVar[frozenset[str]] = frozenset()

    def between(self, log_p: Tensor, log_q: Tensor, targets: Tensor) -> Tensor:
        return soft_cross_entropy(log_p, log_q)

    def inner_formula(self) -> str:
        return "−Σ (c/n) log q over n drawn tokens"
