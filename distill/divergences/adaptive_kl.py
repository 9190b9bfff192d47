"""KLs whose mixture of forward and reverse is chosen from the gap between teacher and student, per position or per
vocabulary entry. The weights are constants of the gradient: they choose a pull, they are not pulled."""

import torch
from torch import Tensor

from distill.divergences.expectation import expectation, kl
from distill.ranges import Fraction


def adaptive_kl(log_p: Tensor, log_q: Tensor, head_mass: Fraction = 0.5) -> Tensor:
    """AKL: more forward KL where the gap lies in the teacher's head, more reverse KL where it lies in its tail.

    Formula: g_h / (g_h + g_t) KL(p ‖ q) + g_t / (g_h + g_t) KL(q ‖ p), g = Σ |p − q| over head, tail, detached
    Source: Wu et al. (2025). Rethinking Kullback-Leibler Divergence in Knowledge Distillation for Large Language
        Models. arXiv:2404.02657

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.
        head_mass: μ; the head is the likeliest tokens whose summed probability does not exceed it, the first always.

    Returns:
        (…,) nats; infinite unless p and q have the same support.

    At p = q both gaps are 0 and each half counts alike, where the authors' code divides 0 by 0. The head is a set of
    tokens: gaps are gathered by the teacher's order (TAID's copy applies a mask made in sorted order to the
    unsorted gap).
    """
    with torch.no_grad():
        p, order = log_p.exp().sort(dim=-1, descending=True)  # (…, K)
        gap = (p - log_q.exp().gather(-1, order)).abs()
        head = p.cumsum(-1) <= head_mass
        head[..., 0] = True
        in_head = (gap * head).sum(-1)
        total = gap.sum(-1)
        forward = torch.where(total > 0, in_head / total.clamp_min(torch.finfo(total.dtype).tiny), 0.5)
    return forward * kl(log_p, log_q) + (1 - forward) * kl(log_q, log_p)


def token_wise_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """ToDi: forward KL on tokens that the student thinks too unlikely, reverse KL on those it thinks too likely.

    Formula: Σ w p log(p/q) + (1 − w) q log(q/p), w = sigmoid(log p − log q) of each token, detached
    Source: Jung et al. (2025). ToDi: Token-wise Distillation via Fine-Grained Divergence Control. arXiv:2505.16297

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.

    Returns:
        (…,) nats; infinite unless p and q have the same support. Every summand is at least 0. Near p = q it is
        KL(p ‖ q) + KL(q ‖ p) to leading order.
    """
    excluded = (log_p == -torch.inf) & (log_q == -torch.inf)
    gap = log_p.masked_fill(excluded, 0.0) - log_q.masked_fill(excluded, 0.0)
    with torch.no_grad():
        weight = torch.sigmoid(gap)
    return expectation(log_p, weight * gap) - expectation(log_q, (1 - weight) * gap)
