"""Decoupled KL: how sure the teacher is of the target, apart from how it ranks everything else."""

import torch
from torch import Tensor

from distill.divergences.expectation import kl
from distill.ranges import NonNegative


def decoupled_kl(
    log_p: Tensor, log_q: Tensor, targets: Tensor, target_weight: NonNegative = 1.0, rest_weight: NonNegative = 8.0
) -> Tensor:
    """DKD: the KL of "target or not", and the KL among all other tokens, with weights of their own.

    Formula: α KL(b_p ‖ b_q) + β KL(p̂ ‖ q̂), b = (p_y, 1 − p_y), p̂ = p without y, renormalised
    Source: Zhao et al. (2022). Decoupled Knowledge Distillation. arXiv:2203.08679

    Args:
        log_p: (…, V) the teacher's log-probabilities over the whole vocabulary.
        log_q: (…, V) the student's.
        targets: (…,) int64, y.
        target_weight: α. Forward KL is α = 1 with β = 1 − p_y, which differs from token to token.
        rest_weight: β; the paper's 1 to 10 by pair of models.

    Returns:
        (…,) nats; not defined where one side gives the target all its mass.

    The paper warms the term up over 20 epochs (a schedule as its weight does that) and uses T = 4. The authors mask
    the target by subtracting 1000 from its logit, which half precision cannot hold; here it is excluded.
    """
    index = targets.unsqueeze(-1)
    target_p, target_q = log_p.gather(-1, index), log_q.gather(-1, index)  # (…, 1)
    others_p = log_p.scatter(-1, index, -torch.inf)
    others_q = log_q.scatter(-1, index, -torch.inf)
    rest_p, rest_q = others_p.logsumexp(-1, keepdim=True), others_q.logsumexp(-1, keepdim=True)  # log(1 − p_y)
    binary = kl(torch.cat([target_p, rest_p], -1), torch.cat([target_q, rest_q], -1))
    return target_weight * binary + rest_weight * kl(others_p - rest_p, others_q - rest_q)
