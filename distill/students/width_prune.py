"""A student cut from a larger model by width: some of its channels, neurons and heads in every layer.

The student is made anew from the cut config and filled with cut weights, as ``layer_drop`` does it.

Left out on purpose: architectures beyond the Llama family (llama, mistral, qwen2, qwen3), whose weights have other
names, and depth, which is ``depth_prune``; ``student@student.source`` of neither combines them in one step.
"""

import copy
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from distill.errors import BadInput
from distill.folders import load_config
from distill.models import shape
from distill.ranges import Count, Natural
from distill.students.importance import Importance, best, drawn, measured
from distill.students.pretrained import Pretrained
from distill.students.student import Calibration, Student
from distill.types import ModelShape

FAMILY = ("llama", "mistral", "qwen2", "qwen3")
NEURONS = {"gate_proj.weight": 0, "up_proj.weight": 0, "down_proj.weight": 1}
"""Which dimension of a tensor counts neurons, by the end of its name."""
HEADS = {"q_proj": 0, "k_proj": 0, "v_proj": 0, "o_proj": 1}
CHANNELS = {
    "q_proj.weight": 1,
    "k_proj.weight": 1,
    "v_proj.weight": 1,
    "o_proj.weight": 0,
    "gate_proj.weight": 1,
    "up_proj.weight": 1,
    "down_proj.weight": 0,
    "layernorm.weight": 0,
    "model.norm.weight": 0,
    "embed_tokens.weight": 1,
    "lm_head.weight": 1,
}


class WidthPrune(Student):
    """The most important channels, neurons and heads of a model, by activations on training text (Minitron).

    Formula: kept units = the largest by ``importance.measured``; weights of the others are cut away
    Source: Muralidharan et al. 2024, https://arxiv.org/abs/2407.14679; Sreenivas et al. 2024,
        https://arxiv.org/abs/2408.11796 (width beside depth).

    Heads are kept in groups that share a key and value head, each group whole. Which channels are kept is one choice
    for the whole model (the residual stream), which neurons and heads one for each layer. The scale of what a norm
    divides by changes with the channels; training heals it.

    Args:
        path: a folder or a hub id; null: the teacher's own, as a run hands it on.
        wheel: an installed package that holds the same model, looked into first.
        width: D that stays; null for all.
        intermediate: neurons of each feed-forward that stay; null for all.
        kv_heads: key and value heads of each attention that stay, their query heads with them; null for all.
        importance: ``activation``; ``random`` draws it; ``none`` cuts nothing and draws all weights at random, at the
            same sizes. The last two are what the first is compared with.
        batches: of training text that activations are measured on.
        seed: of the draws.
        dtype: of the weights that are trained.
        attention: ``auto`` is eager where a loss reads attention weights, fused elsewhere.
        cache: where a GGUF is kept once it is converted.

    Raises:
        BadInput: a size that the model does not have, or another architecture.
    """

    def __init__(
        self,
        path: str | None,
        wheel: str | None = None,
        width: Count | None = None,
        intermediate: Count | None = None,
        kv_heads: Count | None = None,
        importance: Literal["activation", "random", "none"] = "activation",
        batches: Count = 8,
        seed: Natural = 0,
        dtype: Literal["float32", "bfloat16"] = "float32",
        attention: Literal["auto", "eager"] = "auto",
        cache: str | None = None,
    ) -> None:
        self.source = Pretrained(path, wheel, dtype, attention, cache)
        self.width, self.intermediate, self.kv_heads = width, intermediate, kv_heads
        self.importance: Literal["activation", "random", "none"] = importance
        self.batches, self.seed = batches, seed
        self.text: Calibration | None = None

    def see(self, text: Calibration) -> None:
        self.text = text

    def shape(self, vocabulary: int) -> ModelShape:
        """The model's own vocabulary stands, whatever ``vocabulary`` is."""
        return shape(self._cut(load_config(self.source.locate())))

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """
        Raises:
            BadInput: nobody told where training text is (``see``).
        """
        whole = self.source.build(tokenizer)
        config = self._cut(whole.config)
        student = AutoModelForCausalLM.from_config(
            config, dtype=whole.dtype, attn_implementation=whole.config._attn_implementation
        )
        student.generation_config = copy.deepcopy(whole.generation_config)
        if self.importance != "none":
            student.load_state_dict(cut_state(whole.state_dict(), self._importance(whole), config))
            student.tie_weights()
        return student.train()

    def _importance(self, whole: PreTrainedModel) -> Importance:
        if self.text is None:
            raise BadInput("student", "looks at activations, and there is no training text", value="width_prune")
        found = measured(whole, islice(self.text(), self.batches))
        return drawn(found, self.seed) if self.importance == "random" else found

    def _cut(self, told: PreTrainedConfig) -> PreTrainedConfig:
        config: Any = copy.deepcopy(told)
        if config.model_type not in FAMILY:
            known = ", ".join(FAMILY)
            raise BadInput("student", f"is pruned by width only if it is one of {known}", value=config.model_type)
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        group = config.num_attention_heads // config.num_key_value_heads
        config.hidden_size = _fewer("width", self.width, config.hidden_size)
        config.intermediate_size = _fewer("intermediate", self.intermediate, config.intermediate_size)
        config.num_key_value_heads = _fewer("kv_heads", self.kv_heads, config.num_key_value_heads)
        config.num_attention_heads = group * config.num_key_value_heads
        config.head_dim = head
        return config


def _fewer(name: str, wanted: int | None, had: int) -> int:
    if wanted is not None and wanted > had:
        raise BadInput(f"student.{name}", f"the model has {had}", value=wanted)
    return had if wanted is None else wanted


def cut_state(state: dict[str, Tensor], importance: Importance, config: Any) -> dict[str, Tensor]:
    """The weights of the kept units, under their names.

    Args:
        state: of the whole model.
        importance: of its units.
        config: of the cut model.
    """
    channels = best(importance.channels, config.hidden_size)
    neurons = [best(one, config.intermediate_size) for one in importance.neurons]
    groups = [best(one, config.num_key_value_heads) for one in importance.groups]
    size = config.num_attention_heads // config.num_key_value_heads * config.head_dim
    found = {}
    for name, value in state.items():
        layer = int(name.split(".")[2]) if name.startswith("model.layers.") else 0
        kept = value
        if (place := _ending(name, NEURONS)) is not None:
            kept = kept.index_select(place, neurons[layer])
        for module, dimension in HEADS.items():
            if f".{module}." in name:
                width = size if module in ("q_proj", "o_proj") else config.head_dim
                kept = kept.index_select(dimension, _rows(groups[layer], width))
        if (place := _ending(name, CHANNELS)) is not None:
            kept = kept.index_select(place, channels)
        found[name] = kept.clone()
    return found


def _ending(name: str, table: dict[str, int]) -> int | None:
    return next((place for end, place in table.items() if name.endswith(end)), None)


def _rows(groups: Tensor, width: int) -> Tensor:
    """The rows of a projection that belong to groups of ``width`` rows each."""
    return (groups[:, None] * width + torch.arange(width)).flatten()
