"""Two families with a parameter that runs through the KLs: α-β and Rényi. Their limits are continuous here."""

import math

import torch
from torch import Tensor

from distill.divergences.expectation import kl
from distill.ranges import Positive


def alpha_beta(log_p: Tensor, log_q: Tensor, alpha: float = 0.2, beta: float = 0.7) -> Tensor:
    """α-β divergence: one family from forward KL (1, 0) over squared distance (1, 1) to reverse KL (0, 1).

    Formula: −1/(αβ) Σ [p^α q^β − α/(α+β) p^(α+β) − β/(α+β) q^(α+β)], by continuity where αβ(α+β) = 0
    Unit: 1/token
    Source: Wang et al. (2025). ABKD: Pursuing a Proper Allocation of the Probability Mass in Knowledge Distillation
        via α-β-Divergence. arXiv:2505.04560

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.
        alpha: power of the teacher.
        beta: power of the student.

    Returns:
        (…,) at least 0; in nats where α + β = 1. Finite for any two distributions if α, β > 0.

    Computed as Σ p^α q^β [E(β) − E(−α)] / (α + β), E(c) = ((p/q)^c − 1) / c, which loses nothing near a limit. The
    authors' code divides by β or α where the limits (α = 0, β = 0, α + β = 0) need the square: half the value at 0.5.
    """
    both, only_p, only_q = _supports(log_p, log_q)
    a, b = torch.where(both, log_p, 0.0), torch.where(both, log_q, 0.0)
    value = torch.where(both, _alpha_beta_terms(a, b, alpha, beta), 0.0)
    value = value + torch.where(only_p, _alone(log_p, only_p, alpha + beta, beta), 0.0)
    return (value + torch.where(only_q, _alone(log_q, only_q, alpha + beta, alpha), 0.0)).sum(-1)


def renyi(log_p: Tensor, log_q: Tensor, order: Positive = 0.5) -> Tensor:
    """Rényi divergence of the teacher from the student; order 1 is forward KL.

    Formula: log Σ p^α q^(1−α) / (α − 1), by continuity KL(p ‖ q) at α = 1
    Source: Rényi (1961). On Measures of Entropy and Information. Proceedings of the Fourth Berkeley Symposium.

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.
        order: α > 0. Below 1 a token that the student excludes costs a finite amount.

    Returns:
        (…,) nats, non-decreasing in the order.
    """
    if order == 1:
        return kl(log_p, log_q)
    gap = torch.where(log_p == -torch.inf, 0.0, log_q - log_p)
    if abs(order - 1) < 0.1:  # the logarithm of nearly 1: exact through its difference from 1
        excess = (log_p.exp() * torch.expm1((1 - order) * gap)).sum(-1)
        return torch.log1p(excess) / (order - 1)
    return torch.logsumexp(log_p + (1 - order) * gap, dim=-1) / (order - 1)


def _alpha_beta_terms(a: Tensor, b: Tensor, alpha: float, beta: float) -> Tensor:
    """p^α q^β [E(β) − E(−α)] / (α + β) of tokens that both allow; a, b are finite logarithms."""
    total, gap, base = alpha + beta, a - b, alpha * a + beta * b
    if total == 0:  # then the bracket over α + β is dE/dc at c = β
        if beta == 0:
            return 0.5 * gap.square()
        return (gap * (base + beta * gap).exp() - _grown(base, gap, beta)) / beta
    return (_grown(base, gap, beta) - _grown(base, gap, -alpha)) / total


def _grown(base: Tensor, gap: Tensor, power: float) -> Tensor:
    """e^base · (e^(power·gap) − 1) / power, without overflow of the second factor; gap · e^base at power 0."""
    if power == 0:
        return gap * base.exp()
    step = power * gap
    near = base.exp() * torch.expm1(step.clamp(-1.0, 1.0))
    far = (base + step).exp() - base.exp()
    return torch.where(step.abs() < 1, near, far) / power


def _alone(log_mass: Tensor, where: Tensor, total: float, power: float) -> Tensor:
    """What a token costs that only one side allows: mass^(α+β) / (power (α+β)), power being the other side's."""
    if power <= 0 or total <= 0:
        return torch.full_like(log_mass, math.inf)
    return (total * torch.where(where, log_mass, 0.0)).exp() / (power * total)


def _supports(log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Masks of the tokens that both sides allow, that only p does, and that only q does. NaN is allowed, to be seen."""
    no_p, no_q = log_p == -torch.inf, log_q == -torch.inf
    return ~(no_p | no_q), no_q & ~no_p, no_p & ~no_q
