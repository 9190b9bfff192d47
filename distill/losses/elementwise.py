"""The elementwise part of the pass: from raw products to every term's sum and the one gradient on them, in place.

It is memory that costs here, not arithmetic. So it works on a block of few rows at a time, which stay in the
processor's cache through all of its passes (3 times faster than a chunk of 256 rows at once, for any loss), and it
writes the gradient over the products. With ``compile`` the passes themselves are fused: the same numbers to rounding.
"""

import logging
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

CACHED_NUMBERS = 400_000
"""Numbers of one tensor of a block: several such tensors fit into a core's second-level cache."""

log = logging.getLogger(__name__)


class Terms(Protocol):
    """What is evaluated: I terms, the first ``active`` of which get a gradient."""

    @property
    def active(self) -> int: ...

    def evaluate(self, raw: Tensor, targets: Tensor, told: tuple[Tensor, ...]) -> list[Tensor]:
        """I tensors (C,)."""
        ...


def slopes(
    terms: Terms,
    raw: Tensor,
    targets: Tensor,
    told: tuple[Tensor, ...],
    factors: Tensor,
    learned: tuple[Tensor, ...],
    compiled: bool,
) -> tuple[Tensor, list[Tensor]]:
    """Every term's sum over a chunk, and the gradient of sum_i factor_i · term_i written over ``raw``.

    Args:
        terms: what to evaluate.
        raw: (C, V), the products before scale and soft cap; the gradient on them afterwards.
        targets: (C,).
        told: the teacher's tensors for these rows.
        factors: (active,).
        learned: parameters inside the terms.
        compiled: fuse; where anything is learned, or nothing can be compiled here, it is not.

    Returns:
        (I,) sums, and the gradients on ``learned``.
    """
    step = _compiled if compiled and not learned else _by_autograd
    sums = factors.new_zeros(0)
    pulls = [torch.zeros_like(parameter) for parameter in learned]
    for rows in blocks(raw):
        part, pulled = step(terms, raw[rows], targets[rows], tuple(t[rows] for t in told), factors, learned)
        sums = part if not sums.numel() else sums + part
        for total, pull in zip(pulls, pulled, strict=True):
            total += pull
    return sums, pulls


def values(terms: Terms, raw: Tensor, targets: Tensor, told: tuple[Tensor, ...], like: Tensor) -> Tensor:
    """Every term's sum over a chunk, without gradients: (I,) in the dtype of ``like``."""
    sums = torch.zeros_like(like)
    for rows in blocks(raw):
        sums += summed(terms.evaluate(raw[rows], targets[rows], tuple(t[rows] for t in told)), like)
    return sums


def blocks(raw: Tensor) -> list[slice]:
    """The rows of a chunk in pieces that stay in the cache; in one piece where there is no such cache to mind."""
    rows, width = raw.shape
    size = rows if raw.is_cuda else max(1, CACHED_NUMBERS // width)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def summed(values: list[Tensor], like: Tensor) -> Tensor:
    """(C,) each -> (I,), detached, in the dtype of ``like``."""
    return torch.stack([value.detach().sum().to(like.dtype) for value in values]) if values else like.new_zeros(0)


def _by_autograd(
    terms: Terms, raw: Tensor, targets: Tensor, told: tuple[Tensor, ...], factors: Tensor, learned: tuple[Tensor, ...]
) -> tuple[Tensor, list[Tensor]]:
    with torch.enable_grad():
        leaf = raw.detach().requires_grad_()
        values = terms.evaluate(leaf, targets, told)
        active = zip(values[: terms.active], factors, strict=True)
        pulled = [(value.sum(), factor.to(value.dtype)) for value, factor in active if value.requires_grad]
    ends, starts = zip(*pulled, strict=True) if pulled else ((), ())
    inputs = [leaf, *learned]
    made = torch.autograd.grad(ends, inputs, starts, allow_unused=True) if ends else (None,) * len(inputs)
    on_raw, *on_learned = (torch.zeros_like(x) if g is None else g for x, g in zip(inputs, made, strict=True))
    sums = summed(values, factors)
    raw.copy_(on_raw)
    return sums, on_learned


def _by_transform(terms: Terms, raw: Tensor, targets: Tensor, told: tuple[Tensor, ...], factors: Tensor) -> Tensor:
    """The same as a pure function, which a compiler can see through."""

    def total(logits: Tensor) -> tuple[Tensor, Tensor]:
        values = terms.evaluate(logits, targets, told)
        active = torch.stack([value.sum().to(factors.dtype) for value in values[: terms.active]])
        return active @ factors, summed(values, factors)

    gradient, sums = torch.func.grad(total, has_aux=True)(raw)
    raw.copy_(gradient)
    return sums


@cache
def _fused():
    return torch.compile(_by_transform, dynamic=None)


def _compiled(
    terms: Terms, raw: Tensor, targets: Tensor, told: tuple[Tensor, ...], factors: Tensor, learned: tuple[Tensor, ...]
) -> tuple[Tensor, list[Tensor]]:
    if not terms.active or not _can_compile():
        return _by_autograd(terms, raw, targets, told, factors, learned)
    for tensor in (raw, targets, *told):  # the last block of a chunk is shorter: one program for any number of rows
        torch._dynamo.maybe_mark_dynamic(tensor, 0)
    return _fused()(terms, raw, targets, told, factors), []


@cache
def _can_compile() -> bool:
    """Whether this machine has what torch.compile needs, tried once on something small."""
    try:
        torch.compile(lambda x: x.exp().sum())(torch.ones(8))
    except RuntimeError as problem:
        log.warning("nothing can be compiled here, so the loss runs uncompiled: %s", str(problem).splitlines()[0])
        return False
    return True
