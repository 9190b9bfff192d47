"""Log-probabilities of tokens that a teacher reads, and of the spans that they make up: the chain rule, nothing
else."""

import torch
from torch import Tensor

from distill.signals.softening import log_probabilities
from distill.types import Signal

CHUNK = 256
"""Positions whose logits exist at the same time."""


@torch.no_grad()
def of_tokens(signal: Signal, targets: Tensor, size: int = CHUNK) -> Tensor:
    """(M,) log p of each target at temperature 1, float32 or wider."""
    told = []
    for start in range(0, targets.numel(), size):
        rows = slice(start, min(start + size, targets.numel()))
        logs = log_probabilities(signal.chunk(rows)[0], 1.0)  # (C, V)
        told.append(logs.gather(1, targets[rows, None])[:, 0])
    return torch.cat(told) if told else torch.zeros(0, device=targets.device)


def of_groups(tokens: Tensor, groups: Tensor, count: int) -> Tensor:
    """(M,) log-probabilities of tokens -> (G,) of the spans that they spell: their sums over each group.

    Formula: log p(span | text before it) = Σ_i log p(token_i | tokens before it)

    It is the probability of the span as this tokenizer spells it; other ways of spelling the same bytes are not in it.
    """
    inside = groups >= 0
    return tokens.new_zeros(count).index_add(0, groups[inside], tokens[inside])
