"""A small input for a model of any family: what its head is checked with before a run.

Ids lie far apart in the vocabulary and are made without chance. Left out on purpose: real samples, which a model is
shown by its data.
"""

import math
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

TOKENS = 8


def probe(model: PreTrainedModel) -> tuple[dict[str, Tensor], Tensor]:
    """(inputs of one row, (8,) positions of its decoder or encoder; (1,) where there is no row of tokens)."""
    config, name = model.config, model.main_input_name
    vocabulary = _vocabulary(config)
    places = torch.arange(TOKENS, device=model.device)
    ids = (places * 7919 + 1)[None] % vocabulary  # (1, 8)
    reads_tokens = name == "input_ids"
    inputs = {name: ids if reads_tokens else _signal(name, config, model.device).to(model.dtype)}
    if config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    return inputs, places if reads_tokens or config.is_encoder_decoder else places[:1]


def _vocabulary(config: PreTrainedConfig) -> int:
    return getattr(config.get_text_config(decoder=True), "vocab_size", None) or 2**15


def _signal(name: str, config: Any, device: torch.device) -> Tensor:
    """A picture (1, C, H, W), a spectrogram (1, M, frames) or a sound (1, samples), without chance."""
    if name == "pixel_values":
        seen = getattr(config, "encoder", config)  # of a pair of two models
        size = getattr(seen, "vision_config", seen)
        side = size.image_size
        height, width = (side, side) if isinstance(side, int) else side
        shape = (1, getattr(size, "num_channels", 3), height, width)
    elif name == "input_features":
        shape = (1, getattr(config, "num_mel_bins", 80), 2 * getattr(config, "max_source_positions", 50))
    else:
        shape = (1, 4000)
    return torch.sin(torch.arange(math.prod(shape), device=device) * 0.37).reshape(shape)
