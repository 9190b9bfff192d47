"""The one pass over the vocabulary: every loss that needs logits, chunk by chunk, gradient included.

Logits of C supervised tokens are made, every term is evaluated on them, the terms' gradients are summed into
one gradient on the logits, and that is multiplied back onto the hidden states and the head at once, in the
forward pass. So no (N, V) tensor ever exists: the pass holds a few (C, V) buffers and one (V, D), whatever N
is, and a second or third divergence costs its elementwise part only.

Left out on purpose: gradients of gradients, and checkpointing on top (the gradients are already made).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from distill.losses.chunk import Chunk
from distill.losses.elementwise import slopes, values
from distill.losses.loss import VocabularyLoss
from distill.losses.quantity import Quantity, number
from distill.losses.shortcut import Shortcut
from distill.products import add_product, product, widened, working_dtype
from distill.types import Head, Outputs, Signal


@dataclass(frozen=True)
class Pass:
    """What a pass reads beside the tensors that it differentiates.

    Attributes:
        losses: I vocabulary losses; the first ``active`` of them have a weight and get a gradient.
        active: how many.
        temperature: shared by every loss that has none of its own; (N,) one for each token.
        head: the student's: its scale and soft cap (its tensors are passed separately, for their gradients).
        signal: what the teacher said about the N tokens, or None.
        targets: (N,) int64.
        size: C.
        compiled: fuse the elementwise part.
        kernel: leave the losses that have a closed form to the compiled row kernel, where it can be had.
        weights: (N,) of each token in every loss; None for 1.

    A chunk's temperatures and weights stand behind what the teacher said of it, in this order.
    """

    losses: tuple[VocabularyLoss, ...]
    active: int
    temperature: float | Quantity | Tensor
    head: Head
    signal: Signal | None
    targets: Tensor
    size: int
    compiled: bool = False
    kernel: bool = False
    weights: Tensor | None = None

    def learned(self) -> list[Tensor]:
        """The active losses' own parameters and the shared temperature's, each once."""
        owners = chain(self.losses[: self.active], [self.temperature])
        parameters = chain.from_iterable(o.parameters() for o in owners if isinstance(o, torch.nn.Module))
        weights = {id(p) for loss in self.losses if isinstance(loss.weight, Quantity) for p in loss.weight.parameters()}
        return list({id(p): p for p in parameters if p.requires_grad and id(p) not in weights}.values())

    @cached_property
    def shortcut(self) -> Shortcut | None:
        """What the compiled row kernel does of this pass; None where torch does all."""
        if not self.kernel or self.head.softcap is not None or self.learned():
            return None
        signal = self.signal if self.signal is not None and self.signal.whole else None
        scale, shared = self.head.scale, self.temperature
        temperature = None if isinstance(shared, Tensor) else float(number(shared))  # the kernel knows one alone
        return Shortcut.of(self.losses, self.active, scale, temperature, signal, self.targets, self.head.vocabulary)

    def slopes(
        self, raw: Tensor, targets: Tensor, told: tuple[Tensor, ...], factors: Tensor, learned: tuple[Tensor, ...]
    ) -> tuple[Tensor, list[Tensor]]:
        """Every loss's sum over a chunk (I,), the gradient of sum_i factor_i · term_i written over ``raw``, and the
        gradients on ``learned``."""
        quick, (said, _, weights) = self.shortcut, self.apart(told)
        if quick is None or not quick.takes(raw, said):
            return slopes(self, raw, targets, told, factors, learned, self.compiled)
        sums = factors.new_zeros(len(self.losses))
        if quick.left:  # measured before the gradient is written over what they read
            rest = replace(self, losses=tuple(self.losses[i] for i in quick.left), active=0)
            sums[quick.left] = values(rest, raw, targets, told, sums[quick.left])
        sums[quick.done] = quick.rows.slopes(raw, said[0] if quick.rows.hears else None, targets, factors, weights)
        return sums, []

    def values(self, raw: Tensor, targets: Tensor, told: tuple[Tensor, ...], like: Tensor) -> Tensor:
        """The sums alone; ``raw`` may be overwritten."""
        if self.shortcut is None or not self.shortcut.takes(raw, self.apart(told)[0]):
            return values(self, raw, targets, told, like)
        return self.slopes(raw, targets, told, like.new_ones(self.active), ())[0]  # the same bits as in training

    def evaluate(self, raw: Tensor, targets: Tensor, told: tuple[Tensor, ...]) -> list[Tensor]:
        """Every loss on a chunk's raw products: I tensors (C,). Active ones first, so that what they share
        with the others (a softened pair) carries their gradient."""
        chunk, weights = self.chunk(raw, targets, told), self.apart(told)[2]
        values = [_times(loss(chunk), weights) for loss in self.losses[: self.active]]
        with torch.no_grad():
            return values + [_times(loss(chunk), weights) for loss in self.losses[self.active :]]

    def chunk(self, raw: Tensor, targets: Tensor, told: tuple[Tensor, ...]) -> Chunk:
        """What a loss sees of raw products (C, V)."""
        said, temperature, _ = self.apart(told)
        return Chunk(self.head.shaped(raw), targets, self.signal, said, temperature)

    def apart(self, told: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], float | Tensor, Tensor | None]:
        """What the teacher said of a chunk, its temperature (a number, 0-d or (C, 1)), and its tokens' weights (C,)."""
        said, weights = (told, None) if self.weights is None else (told[:-1], told[-1])
        if isinstance(self.temperature, Tensor):
            return said[:-1], said[-1][:, None], weights
        return said, number(self.temperature), weights

    def _told(self, rows: slice) -> tuple[Tensor, ...]:
        each = [of for of in (self.temperature, self.weights) if isinstance(of, Tensor)]
        return (*(() if self.signal is None else self.signal.chunk(rows)), *(of[rows] for of in each))

    def walk(
        self, hidden: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Iterator[tuple[slice, Tensor, Tensor, tuple[Tensor, ...]]]:
        """For each chunk: its rows, its states (C, D), its raw products (C, V) in a buffer that the next
        chunk overwrites, and what the teacher said. ``weight`` is in a working dtype."""
        tokens = hidden.shape[0]
        buffer = hidden.new_empty(min(self.size, tokens), weight.shape[0], dtype=widened(weight.dtype))  # (C, V)
        for start in range(0, tokens, self.size):
            rows = slice(start, min(start + self.size, tokens))
            states = hidden[rows].to(weight.dtype)  # (C, D)
            raw = product(states, weight.T, out=buffer[: rows.stop - rows.start])  # (C, V)
            if bias is not None:
                raw += bias
            yield rows, states, raw, self._told(rows)


def weigh(outputs: Outputs, this: Pass, weights: Sequence[float | Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Evaluate all losses of a pass.

    Args:
        outputs: the student's final states (N, D) and head.
        this: the losses, active ones first.
        weights: of the active losses, numbers or 0-d tensors that may carry a gradient.

    Returns:
        the total sum_i w_i · sum_n term_i[n], with gradients to the states, the head, the losses' parameters
        and learned weights; the unweighted sums (I,), detached; and a 0-d number that is finite if all
        gradients are.
    """
    hidden, head = outputs.hidden, this.head
    assert hidden.shape[0] == this.targets.shape[0], "one target for each supervised position"
    dtype = widened(working_dtype(hidden, head.weight))
    if not this.losses:  # losses on states alone: nobody wants the logits, and a bare encoder has none
        nothing = hidden.to(dtype).sum() * 0.0  # with a gradient of zeros
        return nothing, nothing.detach().new_zeros(0), nothing.detach()
    factors = [torch.as_tensor(weight, dtype=dtype, device=hidden.device) for weight in weights]
    factor = torch.stack(factors) if factors else hidden.new_zeros(0, dtype=dtype)  # (active,)
    with torch.autocast(hidden.device.type, enabled=False):  # which would round the products to half precision
        if not torch.is_grad_enabled():
            sums = _values(this, hidden, head.weight, head.bias, dtype)
            return (factor * sums[: this.active]).sum(), sums, sums.new_zeros(())
        return _OnePass.apply(this, hidden, head.weight, head.bias, factor, *this.learned())


def _times(values: Tensor, weights: Tensor | None) -> Tensor:
    """(C,); what weighs nothing is 0 even where it is undefined."""
    return values if weights is None else torch.where(weights == 0, 0.0, values * weights)


def _values(this: Pass, hidden: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    sums = hidden.new_zeros(len(this.losses), dtype=dtype)
    weight = weight.to(working_dtype(hidden, weight))
    for rows, _, raw, told in this.walk(hidden, weight, bias):
        sums += this.values(raw, this.targets[rows], told, sums)
    return sums


class _OnePass(torch.autograd.Function):
    """total, sums, health = f(hidden, weight, bias, factors, learned…), its gradients made on the way."""

    @staticmethod
    def forward(ctx, this: Pass, hidden, weight, bias, factors, *learned):
        gradients = _Gradients(ctx, hidden, weight, bias, learned, written=this.active > 0 and len(hidden) > 0)
        sums = factors.new_zeros(len(this.losses))
        operand = weight.detach().to(working_dtype(hidden, weight))
        fixed = None if bias is None else bias.detach()
        for rows, states, raw, told in this.walk(hidden.detach(), operand, fixed):
            if not this.active:  # only measured: products would make zeros, or NaN where a state is infinite
                sums += this.values(raw, this.targets[rows], told, sums)
                continue
            part, pulls = this.slopes(raw, this.targets[rows], told, factors, learned)
            sums += part
            gradients.add(rows, states, operand, raw, pulls)
        total = (factors * sums[: this.active]).sum()
        health = gradients.health(total)
        # Saved by autograd, which lets go of them before they arrive: a gradient that nobody else holds becomes the
        # parameter's own, where a held one would be copied (a twentieth of the pass for a large head).
        ctx.save_for_backward(sums[: this.active].clone(), *gradients.made)
        ctx.dtypes = gradients.dtypes
        ctx.mark_non_differentiable(sums, health)
        return total, sums, health

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_total, _sums, _health):  # type: ignore[override]
        sums, *gradients = ctx.saved_tensors
        made = _scaled(gradients, grad_total, ctx.dtypes)
        return (None, *made[:3], sums * grad_total if ctx.needs_input_grad[4] else None, *made[3:])


def _scaled(made: list[Tensor | None], factor: Tensor, dtypes: list[torch.dtype | None]) -> list[Tensor | None]:
    """Times the incoming gradient, in each tensor's own dtype; a factor of 1 on the CPU costs nothing."""
    one = not factor.is_cuda and factor.item() == 1.0
    return [
        None if tensor is None else (tensor if one else tensor * factor).to(dtype)
        for tensor, dtype in zip(made, dtypes, strict=True)
    ]


class _Gradients:
    """The gradients of a pass as they grow; only those that somebody asked for are made."""

    def __init__(
        self, ctx: FunctionCtx, hidden: Tensor, weight: Tensor, bias: Tensor | None, learned, written: bool
    ) -> None:
        wanted = ctx.needs_input_grad  # type: ignore[attr-defined]
        self.dtypes = [None if t is None else t.dtype for t in (hidden, weight, bias, *learned)]

        def room(asked: bool, like: Tensor | None, make=torch.zeros_like) -> Tensor | None:
            wide = None if like is None else widened(working_dtype(hidden, weight, like))
            return make(like, dtype=wide) if asked and like is not None else None

        unwritten = torch.empty_like if written else torch.zeros_like  # by the first chunk, every number of these two
        self.hidden = room(wanted[1], hidden, unwritten)  # (N, D)
        self.weight = room(wanted[2], weight, unwritten)  # (V, D)
        self.bias = room(wanted[3], bias)  # (V,)
        self.learned = [torch.zeros_like(parameter) for parameter in learned]

    def add(self, rows: slice, states: Tensor, operand: Tensor, logits: Tensor, learned: list[Tensor]) -> None:
        """Add a chunk's: ``logits`` is the gradient (C, V) on its raw products."""
        for total, part in zip(self.learned, learned, strict=True):
            total += part
        if self.hidden is not None:
            product(logits, operand, out=self.hidden[rows])
        if self.weight is not None and rows.start == 0:
            product(logits.T, states, out=self.weight)
        elif self.weight is not None:
            add_product(self.weight, logits.T, states)
        if self.bias is not None:
            self.bias += logits.sum(0)

    def health(self, like: Tensor) -> Tensor:
        """A 0-d number that is finite if every gradient is."""
        made = [self.hidden, self.bias, *self.learned] if self.hidden is not None else [self.weight, self.bias]
        return sum((tensor.sum() for tensor in made if tensor is not None), start=like.new_zeros(()))

    @property
    def made(self) -> list[Tensor | None]:
        """On the states, the head's weight and bias, and what is learned."""
        return [self.hidden, self.weight, self.bias, *self.learned]
