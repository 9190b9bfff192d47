"""Approximate likelihood matching (ALM): how likely both models find the same stretch of text, whatever its tokens."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from distill.alignment import likelihood
from distill.losses import citation
from distill.losses.divergence import opened, unit_of
from distill.losses.likelihood import log_likelihood
from distill.losses.loss import StateLoss
from distill.losses.quantity import Quantity
from distill.ranges import Positive
from distill.types import Batch, Outputs, Signal

SURE = 1e-6
"""A span has at most a probability of 1 − SURE: beyond, float32 has no number for what is left."""


class SpanLikelihood(StateLoss):
    """ALM: a divergence between "this span comes" and "it does not", for each span that both tokenisers agree upon.

    Formula: τ Σ_spans D((P^1/τ, 1 − P^1/τ), (Q^1/τ, 1 − Q^1/τ)), P = Π p(token | tokens before it), Q likewise
    Source: Minixhofer, Vulić, Ponti (2025). Universal Cross-Tokenizer Distillation via Approximate Likelihood Matching.
        arXiv:2503.20083

    Spans are the groups of tokens that cover the same bytes (``alignment=byte_spans``); with equal tokenizers they are
    single tokens. The gradient reaches every token of a span. It stands at the span's first token, the others add 0.
    A span's probability is that of its own tokens: other ways to spell it are left out, on both sides.

    With KL the factor τ keeps the gradient's scale: as τ grows, with x = |log P| and y = |log Q| the value becomes
    x log(x / y) − x + y, which is 0 at x = y alone; without it (``scaled: false``) it becomes 0.

    Args:
        divergence: (log p, log q) -> nats; in yaml a ``_partial_`` of a function of ``distill.divergences``.
        flattening: τ; at 1 a span that is unlikely to the teacher hardly counts, a large one weighs all alike.
        scaled: multiply by τ.
        weight: in the objective's total.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(
        self,
        divergence: Callable[..., Tensor],
        flattening: Positive = 1.0,
        scaled: bool = True,
        weight: float | Quantity = 1.0,
    ) -> None:
        super().__init__(weight)
        self._function, self._constants = opened(divergence)
        self.unit = unit_of(self._function)
        self.flattening, self.scaled = flattening, scaled

    def forward(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> Tensor:
        assert signal is not None, "the objective does not measure it without a teacher"
        told = signal.spanned
        ours = log_likelihood(outputs, batch.targets)  # (N,)
        if told is None:
            theirs = likelihood.of_tokens(signal, batch.targets)
            return self.between(theirs, ours)
        theirs = likelihood.of_tokens(told.teacher, told.teacher_targets)  # (M,)
        value = self.between(
            likelihood.of_groups(theirs, told.teacher_groups, told.count),
            likelihood.of_groups(ours, told.groups, told.count),
        )  # (G,)
        return ours.new_zeros(batch.tokens).index_copy(0, told.first, value.to(ours.dtype))

    def between(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """(G,), (G,) log-probabilities of spans -> (G,)."""
        value = self._function(self._binary(log_p), self._binary(log_q), **self._constants)
        return value * self.flattening if self.scaled else value

    def _binary(self, logs: Tensor) -> Tensor:
        """(G,) -> (G, 2) log-probabilities of "it comes" and "it does not"."""
        flat = (logs / self.flattening).clamp(max=-SURE)
        return torch.stack([flat, torch.log(-torch.expm1(flat))], -1)

    def formula(self) -> str:
        power = "" if self.flattening == 1.0 else f"^(1/{self.flattening:g})"
        inner = citation.line(self._function, "Formula")
        scale = f"{self.flattening:g} " if self.scaled and self.flattening != 1.0 else ""
        return f"{scale}Σ over spans, p = (P{power}, 1 − P{power}) and q alike: {inner}"

    def sources(self) -> list[str]:
        return super().sources() + citation.lines(self._function, "Source")
