"""What several teachers said about the same positions, as one word.

Two ways to be one. The mean of probabilities softens each teacher first, so it is another distribution at every
temperature; the mean of logits is one tensor of logits, the normalised geometric mean, and serves as any logits do.

Left out on purpose: teachers that speak of different supports (two top-K signals name different tokens).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from distill.signals.softening import log_probabilities, pair
from distill.types import Outputs, Signal

CHUNK = 256
"""Positions whose logits exist at once while teachers are compared."""


@dataclass(frozen=True)
class MeanProbabilities(Signal):
    """The arithmetic mean of distributions.

    Formula: p̄_T = Σ_m w_m softmax(z_m / T)

    Attributes:
        members: M signals over one whole vocabulary, on the same N positions.
        weights: (M,) or (N, M) float32, each row sums to 1.
    """

    members: tuple[Signal, ...]
    weights: Tensor
    provides: ClassVar[frozenset[str]] = frozenset({"logits"})

    def at(self, rows: Tensor) -> "MeanProbabilities":
        return MeanProbabilities(tuple(one.at(rows) for one in self.members), _at(self.weights, rows))

    def chunk(self, rows: slice) -> tuple[Tensor, ...]:
        """M of (C, V), and the logarithms of the weights (C or 1, M)."""
        logits = [_logits(one, rows) for one in self.members]
        return (*logits, _rows(self.weights, rows).log())

    def pair(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        *sides, log_w = chunk
        return _mixed(_softened(sides, temperature), log_w), log_probabilities(logits, temperature)

    def disagreement(self, tokens: int, temperature: float) -> Tensor:
        """() float64, how far the teachers are from their mean, summed over the N tokens: the generalised
        Jensen-Shannon divergence of the teachers.

        Formula: T² Σ_n Σ_m w_m KL(p_m,T ‖ p̄_T); mean_m KL(p_m ‖ q) = KL(p̄ ‖ q) + it, whatever q
        Source: Lin (1991). Divergence measures based on the Shannon entropy. IEEE Trans. Inf. Theory 37(1), section IV.
        """
        total = torch.zeros((), dtype=torch.float64)
        for rows in _chunks(tokens):
            log_p, log_w = self._sides(rows, temperature)
            total += _mean_kl(log_p, log_w, _mixed(log_p, log_w))
        return total * temperature**2

    def divided(self, outputs: Outputs, temperature: float) -> Tensor:
        """(3,) float64 sums over N tokens: how far a student is from the teachers, from their mean, and they from it.

        Formula: T² mean_m KL(p_m ‖ q), T² KL(p̄ ‖ q), T² mean_m KL(p_m ‖ p̄); the first is the sum of the other two
        """
        total = torch.zeros(3, dtype=torch.float64)
        for rows in _chunks(outputs.hidden.shape[0]):
            log_p, log_w = self._sides(rows, temperature)
            log_q = log_probabilities(outputs.head.logits(outputs.hidden[rows]), temperature)  # (C, V)
            log_mean = _mixed(log_p, log_w)
            of_mean = _kl(log_mean, log_q).sum().double().cpu()
            apart = [_mean_kl(log_p, log_w, other) for other in (log_q, log_mean)]
            total += torch.stack([apart[0], of_mean, apart[1]])
        return total * temperature**2

    def _sides(self, rows: slice, temperature: float) -> tuple[list[Tensor], Tensor]:
        """M of (C, V) log-probabilities, and the logarithms of the weights (C or 1, M)."""
        *sides, log_w = self.chunk(rows)
        return _softened(sides, temperature), log_w


@dataclass(frozen=True)
class MeanLogits(Signal):
    """The mean of logits: the normalised geometric mean of the distributions, at every temperature.

    Formula: z̄ = Σ_m w_m z_m; softmax(z̄ / T) ∝ Π_m softmax(z_m / T)^w_m

    Attributes:
        members, weights: as in ``MeanProbabilities``. A token that a teacher of non-zero weight excludes is excluded.
    """

    members: tuple[Signal, ...]
    weights: Tensor
    provides: ClassVar[frozenset[str]] = frozenset({"logits"})
    whole: ClassVar[bool] = True

    def at(self, rows: Tensor) -> "MeanLogits":
        return MeanLogits(tuple(one.at(rows) for one in self.members), _at(self.weights, rows))

    def chunk(self, rows: slice) -> tuple[Tensor, ...]:
        weights = _rows(self.weights, rows)  # (C or 1, M)
        total: Tensor | None = None
        for m, one in enumerate(self.members):
            weight = weights[:, m, None]
            term = torch.where(weight > 0, weight * _logits(one, rows), 0.0)  # (C, V); 0 · −inf is nothing
            total = term if total is None else total.add_(term)
        assert total is not None, "an ensemble of at least one"
        return (total,)

    def pair(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        (teacher,) = chunk
        return pair(teacher, logits, temperature)


def likelihoods(members: Sequence[Signal], targets: Tensor) -> Tensor:
    """(N, M) log-probabilities that each teacher gives the tokens that came, at temperature 1."""
    found = []
    for rows in _chunks(targets.numel()):
        places = targets[rows, None]
        sides = [log_probabilities(_logits(one, rows), 1.0).gather(-1, places) for one in members]
        found.append(torch.cat(sides, dim=-1))
    return torch.cat(found) if found else targets.new_zeros(0, len(members), dtype=torch.float32)


def _logits(signal: Signal, rows: slice) -> Tensor:
    (values,) = signal.chunk(rows)
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def _softened(sides: Sequence[Tensor], temperature: float | Tensor) -> list[Tensor]:
    return [log_probabilities(side, temperature) for side in sides]


def _mixed(log_p: Sequence[Tensor], log_w: Tensor) -> Tensor:
    """M of (C, V), (C or 1, M) -> (C, V)."""
    total = log_w[:, 0, None] + log_p[0]
    for m, one in enumerate(log_p[1:], start=1):
        total = torch.logaddexp(total, log_w[:, m, None] + one)
    return total


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """(C,); what p excludes adds nothing."""
    return torch.where(log_p > -torch.inf, log_p.exp() * (log_p - log_q), 0.0).sum(-1)


def _mean_kl(log_p: Sequence[Tensor], log_w: Tensor, log_q: Tensor) -> Tensor:
    """() float64: Σ_n Σ_m w_m KL(p_m ‖ q)."""
    each = (log_w[:, m].exp() * _kl(one, log_q) for m, one in enumerate(log_p))
    return torch.stack([one.sum().double().cpu() for one in each]).sum()


def _rows(weights: Tensor, rows: slice) -> Tensor:
    """(C or 1, M)."""
    return weights[None] if weights.dim() == 1 else weights[rows]


def _at(weights: Tensor, rows: Tensor) -> Tensor:
    return weights if weights.dim() == 1 else weights[rows]


def _chunks(tokens: int) -> Iterator[slice]:
    return (slice(start, min(start + CHUNK, tokens)) for start in range(0, tokens, CHUNK))
