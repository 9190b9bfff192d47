"""Generalised Jensen-Shannon divergence, as it stands and normalised so that its ends are the two KLs.

Bounded, hence finite for any two distributions, excluded tokens included.
"""

import torch
from torch import Tensor

from distill.divergences.closed_form import ClosedForm, closed_form
from distill.divergences.expectation import kl_to_near_mixture
from distill.divergences.kl import forward_kl, reverse_kl
from distill.ranges import Fraction


@closed_form(lambda teacher_weight=0.5: ClosedForm(mixture=1.0, teacher_weight=teacher_weight))
def jensen_shannon(log_p: Tensor, log_q: Tensor, teacher_weight: Fraction = 0.5) -> Tensor:
    """Generalised Jensen-Shannon divergence; it vanishes at both ends of its weight.

    Formula: β KL(p ‖ m) + (1 − β) KL(q ‖ m), m = β p + (1 − β) q
    Source: Agarwal et al. (2024). On-Policy Distillation of Language Models: Learning from Self-Generated
        Mistakes. arXiv:2306.13649

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.
        teacher_weight: β, of the teacher in the mixture and in the sum. TRL's and Liger's ``beta`` is the
            same; KDFlow's is 1 − β.

    Returns:
        (…,) nats, at most the entropy of a coin of bias β.

    TRL and Liger return forward and reverse KL at β = 0 and 1, where this formula gives 0 (their sweep
    jumps); use ``normalised_jensen_shannon`` for a sweep that reaches the KLs continuously.
    """
    p, q = log_p.exp(), log_q.exp()
    mixture = teacher_weight * p + (1 - teacher_weight) * q
    log_mixture = torch.where(mixture == 0, 1.0, mixture).log()
    of_p = p * torch.where(p == 0, 0.0, log_p - log_mixture)
    of_q = q * torch.where(q == 0, 0.0, log_q - log_mixture)
    return (teacher_weight * of_p + (1 - teacher_weight) * of_q).sum(-1)


def _normalised(teacher_weight: float = 0.5) -> ClosedForm | None:
    if teacher_weight in (0, 1):
        return ClosedForm(reverse=1.0) if teacher_weight else ClosedForm(forward=1.0)
    if not 0.01 <= teacher_weight <= 0.99:
        return None
    return ClosedForm(mixture=1 / (teacher_weight * (1 - teacher_weight)), teacher_weight=teacher_weight)


@closed_form(_normalised)
def normalised_jensen_shannon(log_p: Tensor, log_q: Tensor, teacher_weight: Fraction = 0.5) -> Tensor:
    """Jensen-Shannon over β(1 − β): runs continuously from forward KL (β = 0) to reverse KL (β = 1).

    Formula: [β KL(p ‖ m) + (1 − β) KL(q ‖ m)] / (β (1 − β)), m = β p + (1 − β) q
    Source: Agarwal et al. (2024). On-Policy Distillation of Language Models: Learning from Self-Generated
        Mistakes. arXiv:2306.13649

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.
        teacher_weight: β. Near p = q the value and gradient do not depend on it, so a sweep of β compares
            shapes and not step sizes.

    Returns:
        (…,) nats.

    The paper proves the limit for JSD / β; dividing by both weights gives it at both ends. A scheduled β is
    kept 1e-6 away from the ends, a plain number reaches them exactly.
    """
    weight: float | Tensor = teacher_weight
    if isinstance(weight, Tensor):
        weight = weight.clamp(1e-6, 1 - 1e-6)
    elif weight in (0, 1):
        return reverse_kl(log_p, log_q) if weight else forward_kl(log_p, log_q)
    elif 0.01 <= weight <= 0.99:  # far enough from the ends to divide what float32 leaves
        return jensen_shannon(log_p, log_q, weight) / (weight * (1 - weight))
    forward = kl_to_near_mixture(log_p, log_q, 1 - weight) / (1 - weight)
    return forward + kl_to_near_mixture(log_q, log_p, weight) / weight
