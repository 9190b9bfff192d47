"""What a speech model writes, greedily: with Whisper's rules about tokens that are no words."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from distill.data.greedy import greedy
from distill.data.utterances import Uttered, opening
from distill.folders import known_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from distill.data.speech import SpeechData


def ids(
    model: "PreTrainedModel", data: "SpeechData", heard: Mapping[str, Tensor], rows: int, vocabulary: int | None = None
) -> list[list[int]]:
    """What is written of each of the ``rows`` sounds, the end left out."""
    tokenizer = data.prepare()
    first = torch.tensor([opening(tokenizer)] * rows, device=model.device)  # (B, S)
    given = {**{name: value.to(model.device) for name, value in heard.items()}, "decoder_input_ids": first}
    end: Any = tokenizer.eos_token_id
    size = known_ids(tokenizer) if vocabulary is None else vocabulary
    return greedy(model, given, data.sequence_length, end, size, never(model, end))


def written(
    model: "PreTrainedModel",
    data: "SpeechData",
    heard: Mapping[str, Tensor],
    samples: Sequence[Uttered],
    vocabulary: int | None = None,
) -> list[str]:
    """The same as text."""
    found = ids(model, data, heard, len(samples), vocabulary)
    tokenizer = data.prepare()
    return [str(tokenizer.decode(one, skip_special_tokens=True)).strip() for one in found]


def never(model: "PreTrainedModel", end: int) -> list[int]:
    """Ids that the model's own folder says are not to be written; the end always may be."""
    told: Any = getattr(model.generation_config, "suppress_tokens", None) or []
    return [one for one in told if one != end and one >= 0]
