"""Which token comes next, when one or two models say what may: the only place where a rollout draws.

A choice maps the log-probabilities of each pen (b, V) and two uniform numbers a row to a token, the log-probability
with which it was drawn, and whether it is the first pen's own. All by inverting the distribution function, so a row's
text depends on its own numbers alone and not on which rows are still writing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Chosen = tuple[Tensor, Tensor, Tensor]


class Choice(Protocol):
    def __call__(self, sides: Sequence[Tensor], uniform: Tensor) -> Chosen:
        """
        Args:
            sides: (b, V) log-probabilities of every pen.
            uniform: (b, 2) float64 in [0, 1).

        Returns:
            (b,) int64, (b,) and (b,) bool.
        """
        ...


@dataclass(frozen=True)
class Own:
    """One model's own word.

    Attributes:
        temperature: its logits are divided by it; 0 takes the likeliest token.
        top_p: only the likeliest tokens that together reach this probability.
    """

    temperature: float = 1.0
    top_p: float = 1.0

    def __call__(self, sides: Sequence[Tensor], uniform: Tensor) -> Chosen:
        log_q = self.shaped(sides[0])
        token = drawn(log_q, uniform[:, 0])
        return token, _at(log_q, token), torch.ones_like(token, dtype=torch.bool)

    def shaped(self, log_q: Tensor) -> Tensor:
        """(b, V) -> (b, V) the distribution that is drawn from."""
        if self.temperature == 0:
            likeliest = torch.full_like(log_q, -torch.inf)
            return likeliest.scatter_(-1, log_q.argmax(-1, keepdim=True), 0.0)
        log_q = log_q if self.temperature == 1 else (log_q / self.temperature).log_softmax(-1)
        if self.top_p < 1:
            ordered, ids = log_q.sort(dim=-1, descending=True, stable=True)
            before = ordered.exp().cumsum(-1) - ordered.exp()
            log_q = log_q.masked_fill(
                torch.zeros_like(ids, dtype=torch.bool).scatter(-1, ids, before >= self.top_p), -torch.inf
            )
            log_q = log_q.log_softmax(-1)
        return log_q


@dataclass(frozen=True)
class Blended:
    """p̃ = α p + (1 − α) q, token by token, of student (first) and teacher (second): MiniLLM's sampling.

    Attributes:
        share: α, the teacher's.
    """

    share: float

    def __call__(self, sides: Sequence[Tensor], uniform: Tensor) -> Chosen:
        log_q, log_p = sides
        blend = (self.share * log_p.double().exp() + (1 - self.share) * log_q.double().exp()).log()
        token = drawn(blend, uniform[:, 0])
        return token, _at(blend, token).to(log_q.dtype), _at(log_q, token) >= _at(log_p, token)


@dataclass(frozen=True)
class Speculative:
    """The student (first) proposes; what is not among the teacher's K likeliest is drawn from the teacher instead.

    Attributes:
        top: K; 0 is the teacher's own text, V the student's own.
    """

    top: int

    def __call__(self, sides: Sequence[Tensor], uniform: Tensor) -> Chosen:
        log_q, log_p = sides
        kept = torch.zeros_like(log_p, dtype=torch.bool)
        kept.scatter_(-1, log_p.topk(min(self.top, log_p.shape[-1]), dim=-1).indices, True)
        proposed = drawn(log_q, uniform[:, 0])
        own = _at(kept, proposed)
        token = torch.where(own, proposed, drawn(log_p, uniform[:, 1]))
        q, p = log_q.double().exp(), log_p.double().exp()
        refused = (q * ~kept).sum(-1)  # (b,)
        probability = _at(q * kept, token) + refused * _at(p, token)
        return token, probability.log().to(log_q.dtype), own


def drawn(log_q: Tensor, uniform: Tensor) -> Tensor:
    """(b, V), (b,) -> (b,) ids; one of probability 0 is never drawn."""
    upto = log_q.double().exp().cumsum(-1)  # (b, V)
    found = torch.searchsorted(upto, uniform[:, None] * upto[:, -1:], right=True)[:, 0]
    return found.clamp(max=log_q.shape[-1] - 1)


def _at(values: Tensor, tokens: Tensor) -> Tensor:
    return values.gather(-1, tokens[:, None])[:, 0]
