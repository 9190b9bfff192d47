"""Skewed KL: the second argument is mixed with a little of the first, so that the value and its gradient are
bounded."""

from torch import Tensor

from distill.divergences.expectation import kl_to_mixture
from distill.ranges import Fraction


def skew_forward_kl(log_p: Tensor, log_q: Tensor, skew: Fraction = 0.1) -> Tensor:
    """Forward KL to a student that has been given a share of the teacher.

    Formula: KL(p ‖ α p + (1 − α) q)
    Source: Ko et al. (2024). DistiLLM: Towards Streamlined Distillation for Large Language Models. arXiv:2402.03898

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.
        skew: α; 0 is forward KL, 1 is 0. The paper's 0.1.

    Returns:
        (…,) nats, at most −log α; finite wherever α > 0.

    The authors' code drops the entropy of p (its value is a cross-entropy, its gradient the same).
    """
    return kl_to_mixture(log_p, log_q, 1 - skew)


def skew_reverse_kl(log_p: Tensor, log_q: Tensor, skew: Fraction = 0.1) -> Tensor:
    """Reverse KL to a teacher that has been given a share of the student.

    Formula: KL(q ‖ (1 − α) p + α q)
    Source: Ko et al. (2024). DistiLLM: Towards Streamlined Distillation for Large Language Models. arXiv:2402.03898

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.
        skew: α; 0 is reverse KL, 1 is 0. The paper's 0.1.

    Returns:
        (…,) nats, at most −log α; finite wherever α > 0.

    The student inside the mixture carries its gradient, as in the paper; DistiLLM-2's code detaches it there.
    """
    return kl_to_mixture(log_q, log_p, 1 - skew)
