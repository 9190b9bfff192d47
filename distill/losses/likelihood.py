"""Log-probabilities of the tokens that came, with a gradient: for losses that combine several tokens of a sample.

Losses inside the one pass see one token at a time. What several tokens make up (a span, a sequence) needs this: one
pass that gives (N,) numbers, and a second one in the backward pass that turns (N,) slopes into gradients. No (N, V)
tensor exists; logits are made twice instead.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distill.products import add_product, product, widened, working_dtype
from distill.types import Head, Outputs


def log_likelihood(outputs: Outputs, targets: Tensor, size: int = 256) -> Tensor:
    """log q of each target at temperature 1: (N,), float32 or wider, with gradients to the states and the head.

    Args:
        outputs: the student's (N, D) states and head.
        targets: (N,) int64.
        size: tokens whose logits exist at the same time.
    """
    head = outputs.head
    with torch.autocast(outputs.hidden.device.type, enabled=False):
        told = _LogLikelihood.apply(outputs.hidden, head.weight, head.bias, head, targets, size)
    assert isinstance(told, Tensor)
    return told


class _LogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, bias: Tensor | None, head: Head, targets: Tensor, size: int):
        ctx.save_for_backward(hidden, weight, bias)
        ctx.head, ctx.targets, ctx.size = head, targets, size
        operand = weight.detach().to(working_dtype(hidden, weight))
        told = hidden.new_zeros(targets.numel(), dtype=widened(operand.dtype))  # (N,)
        for rows in _slices(targets.numel(), size):
            told[rows] = _of_chunk(head, _raw(hidden[rows], operand, bias), targets[rows])
        return told

    @staticmethod
    @once_differentiable
    def backward(ctx, slopes: Tensor):  # type: ignore[override]
        hidden, weight, bias = ctx.saved_tensors
        operand = weight.detach().to(working_dtype(hidden, weight))
        wide = widened(operand.dtype)
        on_hidden, on_weight = torch.zeros_like(hidden, dtype=wide), torch.zeros_like(weight, dtype=wide)
        on_bias = None if bias is None else torch.zeros_like(bias, dtype=wide)
        for rows in _slices(ctx.targets.numel(), ctx.size):
            with torch.enable_grad():
                leaf = _raw(hidden[rows].detach(), operand, bias).requires_grad_()
                value = _of_chunk(ctx.head, leaf, ctx.targets[rows])
            (on_raw,) = torch.autograd.grad(value, leaf, slopes[rows])  # (C, V)
            product(on_raw, operand, out=on_hidden[rows])
            if ctx.needs_input_grad[1]:
                add_product(on_weight, on_raw.T, hidden[rows].detach().to(operand.dtype))
            if on_bias is not None:
                on_bias += on_raw.sum(0)
        return (
            on_hidden.to(hidden.dtype),
            on_weight.to(weight.dtype) if ctx.needs_input_grad[1] else None,
            on_bias if on_bias is None or bias is None else on_bias.to(bias.dtype),
            None,
            None,
            None,
        )


def _slices(tokens: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, tokens)) for start in range(0, tokens, size)]


def _raw(states: Tensor, operand: Tensor, bias: Tensor | None) -> Tensor:
    raw = product(states.detach(), operand.T)  # (C, V)
    return raw if bias is None else raw + bias.detach()


def _of_chunk(head: Head, raw: Tensor, targets: Tensor) -> Tensor:
    return head.shaped(raw).log_softmax(-1).gather(1, targets[:, None])[:, 0]
