"""The targets that Sparse Logit Sampling is measured against: a teacher's K likeliest tokens, and nothing of the rest.

Both are what people do first, and neither is a divergence of two distributions: that is the paper's point. They live
here and not among the divergences because nobody should train with them; ``signal@teacher.signal=topk`` keeps the
rest in a bucket. They are computed from the whole distribution, which gives the same targets as a store of K.
"""

from torch import Tensor


def renormalised(log_p: Tensor, log_q: Tensor, k: int = 12) -> Tensor:
    """Cross-entropy with the teacher's K likeliest tokens, scaled up to sum to one.

    Formula: −Σ_{i ∈ K} (p_i / Σ_K p) log q_i
    Source: Anshumann et al. (2025). Sparse Logit Sampling: Accelerating Knowledge Distillation in LLMs.
        arXiv:2503.16870, section 2.
    """
    told, ids = log_p.topk(min(k, log_p.shape[-1]), dim=-1)  # (C, K)
    return -(told.softmax(-1) * log_q.gather(-1, ids)).sum(-1)


def unscaled(log_p: Tensor, log_q: Tensor, k: int = 12) -> Tensor:
    """Cross-entropy with the teacher's K likeliest tokens as they are: whatever they leave is missing from the target.

    Formula: −Σ_{i ∈ K} p_i log q_i
    Source: Anshumann et al. (2025). arXiv:2503.16870, section 2.
    """
    told, ids = log_p.topk(min(k, log_p.shape[-1]), dim=-1)  # (C, K)
    return -(told.exp() * log_q.gather(-1, ids)).sum(-1)
