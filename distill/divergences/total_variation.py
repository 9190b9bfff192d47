"""Distances between probabilities themselves, bounded by 1: total variation and squared Hellinger."""

from torch import Tensor


def total_variation(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Half the sum of absolute differences: the share of tokens that speculative decoding would reject.

    Formula: ½ Σ |p − q| = 1 − Σ min(p, q)
    Unit: 1/token
    Source: Wen, Li, Du, Mou (2023). f-Divergence Minimization for Sequence-Level Knowledge Distillation.
        arXiv:2307.15190

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.

    Returns:
        (…,) between 0 and 1, without unit.

    The gradient where p = q is taken as 0.
    """
    return 0.5 * (log_p.exp() - log_q.exp()).abs().sum(-1)


def squared_hellinger(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Half the squared distance of the roots: 1 minus the Bhattacharyya coefficient.

    Formula: ½ Σ (√p − √q)² = 1 − Σ √(p q)
    Unit: 1/token
    Source: Hellinger (1909). Neue Begründung der Theorie quadratischer Formen von unendlichvielen Veränderlichen.
        Journal für die reine und angewandte Mathematik 136.

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.

    Returns:
        (…,) between 0 and 1, without unit.
    """
    return 0.5 * ((0.5 * log_p).exp() - (0.5 * log_q).exp()).square().sum(-1)
