"""The sum of absolute differences: what universal logit distillation takes between probabilities by rank."""

from torch import Tensor


def l1(log_p: Tensor, log_q: Tensor) -> Tensor:
    """ULD, under alignment=sorted: the sum of absolute differences, which is twice the total variation.

    Formula: Σ |p − q|
    Unit: 1/token
    Source: Boizard et al. (2024). Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss for LLMs.
        arXiv:2402.12030

    Args:
        log_p: (…, K) the teacher's log-probabilities.
        log_q: (…, K) the student's.

    Returns:
        (…,) between 0 and 2, without unit.

    Under ``alignment=sorted`` both sides are sorted, and this is the ULD loss. The gradient where p = q is taken as 0.
    """
    return (log_p.exp() - log_q.exp()).abs().sum(-1)
