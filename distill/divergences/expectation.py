"""What every family sums with: expectations in which an impossible token counts for nothing, 0 · log 0 = 0.

Masks are put before the arithmetic, not after it, so that gradients are finite too: ``where(mask, inf * 0,
0)`` has a finite value and a NaN gradient.
"""

import torch
from torch import Tensor


def expectation(log_a: Tensor, value: Tensor) -> Tensor:
    """sum_v a_v · value_v over tokens with a_v > 0: (…, K), (…, K) -> (…,)."""
    a = log_a.exp()
    return (a * torch.where(a == 0, 0.0, value)).sum(-1)


def kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a ‖ b): (…, K), (…, K) -> (…,). Infinite where a has mass and b has none."""
    return expectation(log_a, log_a - log_b)


def kl_to_mixture(log_a: Tensor, log_b: Tensor, share: float | Tensor) -> Tensor:
    """KL(a ‖ (1 − w) a + w b), w = ``share`` of b: (…, K), (…, K) -> (…,).

    Through the probabilities, whose mixture cannot vanish where a has mass; at w = 1 (and for a scheduled w, which
    may get there) the mixture is b, so logarithms are mixed instead.
    """
    if isinstance(share, Tensor) or share == 1:
        return kl_to_near_mixture(log_a, log_b, share)
    a = log_a.exp()
    mixture = (1 - share) * a + share * log_b.exp()
    log_mixture = torch.where(mixture == 0, 1.0, mixture).log()
    return (a * torch.where(a == 0, 0.0, log_a - log_mixture)).sum(-1)


def kl_to_near_mixture(log_a: Tensor, log_b: Tensor, share: float | Tensor) -> Tensor:
    """The same, exact relative to w: what lets a Jensen-Shannon divergence be divided by a small weight.

    For small w the mixture is nearly a, and log1p keeps what a difference of logarithms would lose. Several times
    dearer than ``kl_to_mixture``.
    """
    gap = torch.where(log_a == -torch.inf, 0.0, log_b - log_a)  # log(b / a)
    w = torch.as_tensor(share, dtype=gap.dtype, device=gap.device)
    step = w * torch.expm1(gap.clamp(max=30.0))  # mixture / a − 1
    near = torch.log1p(step.clamp(-0.5, 0.5))
    far = torch.logaddexp(torch.log1p(-w), torch.log(w) + gap)
    return expectation(log_a, -torch.where(step.abs() < 0.5, near, far))
