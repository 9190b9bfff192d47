"""Some tokens' logits, and one number for all others: the student's side of a coarsened distribution.

Formula: (z_i for i in ids, log sum_{j not in ids} e^(z_j))

Its gradient is written by hand: on a token of the bucket it is the bucket's own times e^(z_j) / sum e^(z), so one
buffer of the size of the logits is kept between the directions, where autograd would keep and fill several.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def bucketed(values: Tensor, ids: Tensor) -> Tensor:
    """(C, V), (C, K) different ids -> (C, K + 1); the last is −inf where no other token has any probability."""
    if torch.compiler.is_compiling():  # which fuses what is written plainly
        return torch.cat([values.gather(-1, ids), _plain(values, ids)], dim=-1)
    return _Bucketed.apply(values, ids)  # pyright: ignore[reportReturnType]  (apply is not typed by what it calls)


def _plain(values: Tensor, ids: Tensor) -> Tensor:
    """(C, 1), for autograd to go through."""
    rest = values.scatter(-1, ids, -torch.inf)  # (C, V)
    largest = _finite(rest.detach().amax(-1, keepdim=True))
    total = (rest - largest).exp().sum(-1, keepdim=True)
    empty = total == 0  # whose own log would have a NaN gradient
    return (total.masked_fill(empty, 1.0).log() + largest).masked_fill(empty, -torch.inf)


def _finite(largest: Tensor) -> Tensor:
    """0 where everything is excluded: −inf − (−inf) is undefined."""
    return largest.masked_fill(largest == -torch.inf, 0.0)


class _Bucketed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, ids: Tensor) -> Tensor:
        rest = values.scatter(-1, ids, -torch.inf)  # (C, V)
        largest = _finite(rest.amax(-1, keepdim=True))
        shares = rest.sub_(largest).exp_()  # 0 at the ids
        total = shares.sum(-1, keepdim=True)
        ctx.save_for_backward(ids, shares, total)
        return torch.cat([values.gather(-1, ids), total.log() + largest], dim=-1)  # log 0 = −inf: nothing is left

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):  # type: ignore[override]
        ids, shares, total = ctx.saved_tensors
        on_rest = gradient[:, -1:] / total.masked_fill(total == 0, 1.0)
        made = (shares * on_rest).scatter_(-1, ids, gradient[:, :-1])
        return made, None
