"""Kullback-Leibler divergences: forward, reverse, and their mean.

All include the entropy term, so all are exactly 0 at p = q; what elsewhere is called "forward KL" and is a
cross-entropy is here ``soft_cross_entropy``.
"""

from torch import Tensor

from distill.divergences.closed_form import ClosedForm, closed_form
from distill.divergences.expectation import kl
from distill.ranges import Fraction


@closed_form(lambda: ClosedForm(forward=1.0))
def forward_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Forward KL: the student must cover all that the teacher says.

    Formula: KL(p ‖ q) = Σ p (log p − log q)
    Source: Hinton, Vinyals, Dean (2015). Distilling the Knowledge in a Neural Network. arXiv:1503.02531

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.

    Returns:
        (…,) nats; infinite where p has mass and q has none.

    The gradient on the student's logits is q − p. The paper's soft term is a cross-entropy: same gradient,
    but not 0 at p = q. TRL (beta = 0) returns the same value.
    """
    return kl(log_p, log_q)


@closed_form(lambda: ClosedForm(reverse=1.0))
def reverse_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Reverse KL: the student must say nothing that the teacher would not.

    Formula: KL(q ‖ p) = Σ q (log q − log p)
    Source: Gu, Dong, Wei, Huang (2024). MiniLLM: Knowledge Distillation of Large Language Models.
        arXiv:2306.08543

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.

    Returns:
        (…,) nats; infinite where q has mass and p has none.

    This is the per-token term over the whole vocabulary. MiniLLM's sequence objective adds the effect of a
    token on all later ones, which no function of one position can see.
    """
    return kl(log_q, log_p)


@closed_form(lambda teacher_weight=0.5: ClosedForm(forward=teacher_weight, reverse=1 - teacher_weight))
def symmetric_kl(log_p: Tensor, log_q: Tensor, teacher_weight: Fraction = 0.5) -> Tensor:
    """Weighted mean of forward and reverse KL; at one half, half of Jeffreys' divergence.

    Formula: w KL(p ‖ q) + (1 − w) KL(q ‖ p)
    Source: Jeffreys (1946). An Invariant Form for the Prior Probability in Estimation Problems.
        Proceedings of the Royal Society A 186.

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.
        teacher_weight: w, of the forward part.

    Returns:
        (…,) nats; infinite unless p and q have the same support.
    """
    return teacher_weight * kl(log_p, log_q) + (1 - teacher_weight) * kl(log_q, log_p)
