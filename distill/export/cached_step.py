"""One call of a decoder with its cache as plain tensors: what a graph exporter is given to trace.

Left out on purpose: encoders, whose states do not change from call to call (``onnx_pair.py``).
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from distill.cached import given, kept
from distill.models import head
from distill.students.low_rank_head import halves
from distill.types import Head


class CachedStep(nn.Module):
    """Some ids and the cache before them in, logits and the cache after them out.

    A head that is tied to the embedding stays so in float32, and is written twice where it is quantised: the quantiser
    looks for matrices that are multiplied, and would leave a shared one to be widened at every start.

    Args:
        model: a decoder.
        vocabulary: the head is cut to this many ids.
        tied: whether a head that is the embedding stays the same tensor.
        rank: of a head that is written as two thin matrices; None writes it whole.
    """

    def __init__(self, model: PreTrainedModel, vocabulary: int, tied: bool = True, rank: int | None = None) -> None:
        super().__init__()
        self.body, told = model.base_model, head(model)
        whole = told.weight if tied else nn.Parameter(told.weight.detach().clone())
        tall, thin = (whole, None) if rank is None else halves(whole, min(rank, *whole.shape))
        self.weight = tall if rank is None else nn.Parameter(tall)
        self.thin = None if thin is None else nn.Parameter(thin.T.contiguous())  # (D, r)
        self.bias, self.scale, self.softcap = told.bias, told.scale, told.softcap
        self.vocabulary = vocabulary

    def forward(self, input_ids: Tensor, past: list[Tensor]) -> tuple[Tensor, ...]:
        """(B, S) ids after (B, H, P, D / H) keys and values -> (B, S, V) logits and the longer keys and values."""
        cache: Any = DynamicCache(list(zip(past[0::2], past[1::2], strict=True)))
        told = self.body(input_ids=input_ids, **given(self.body, cache), use_cache=True)
        states = told.last_hidden_state if self.thin is None else told.last_hidden_state @ self.thin
        logits = Head(self.weight, self.bias, self.scale, self.softcap).logits(states)
        return logits[..., : self.vocabulary], *(half for layer in cache.layers for half in (layer.keys, layer.values))


def past_of(model: PreTrainedModel) -> tuple[list[str], list[Tensor]]:
    """Names and examples (B, H, P, D / H) of keys and values, read off a real pass of two rows of five ids."""
    with torch.no_grad():
        told = model.base_model(input_ids=torch.zeros(2, 5, dtype=torch.long), use_cache=True)
    layers = kept(told).layers
    names = [f"{i}.{half}" for i in range(len(layers)) for half in ("key", "value")]
    return names, [half for layer in layers for half in (layer.keys, layer.values)]


@contextmanager
def silent() -> Iterator[None]:
    """Exporters warn of packages that are not there, and of steps that change nothing here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
