"""How likely a model finds texts that somebody wrote after prompts: one pass, no cache, no (N, V) tensor."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from distill.models import answer
from distill.rollouts.text import Text, laid

CHUNK = 256
"""Tokens whose log-probabilities exist at once."""


@torch.no_grad()
def scored(model: PreTrainedModel, prompts: Sequence[Tensor], texts: Sequence[Tensor], vocabulary: int) -> list[float]:
    """−log p of each text after its prompt, in nats.

    Args:
        model: in evaluation mode.
        prompts: (n,) ids each, at least one.
        texts: (t,) ids each; an empty one costs 0.
        vocabulary: ids below it mean something.
    """
    some = [i for i, text in enumerate(texts) if len(text)]
    nats = [0.0] * len(texts)
    if not some:
        return nats
    batch = laid([Text(prompts[i], prompts[i], texts[i]) for i in some], 0, torch.device("cpu")).to(model.device)
    told = answer(model, batch.inputs, batch.positions, vocabulary=vocabulary)
    sums = torch.zeros(len(some), dtype=torch.float64)
    for start in range(0, batch.tokens, CHUNK):
        rows = slice(start, start + CHUNK)
        log_p = told.head.logits(told.hidden[rows]).log_softmax(-1).gather(1, batch.targets[rows, None])[:, 0]
        sums.index_add_(0, batch.owners[rows].cpu(), -log_p.double().cpu())
    for place, i in enumerate(some):
        nats[i] = float(sums[place])
    return nats
