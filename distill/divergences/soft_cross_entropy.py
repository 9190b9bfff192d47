"""What several libraries call forward KL: the teacher's cross-entropy, under its own name."""

from torch import Tensor

from distill.divergences.expectation import expectation


def soft_cross_entropy(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Cross-entropy with the teacher's distribution: forward KL plus the teacher's entropy. Not 0 at p = q.

    Formula: −Σ p log q
    Source: Hinton, Vinyals, Dean (2015). Distilling the Knowledge in a Neural Network. arXiv:1503.02531

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.

    Returns:
        (…,) nats; infinite where p has mass and q has none.

    The student's gradient is that of forward KL. torchtune's, MiniLLM's and DistiLLM's "forward KL" is this.
    """
    return expectation(log_p, -log_q)
