"""Greedy answers of any family that decodes, several at once, with the cache, ended one by one.

What a model is given stays as its data made it: sound or pictures once, then one token at a time. Left out on purpose:
``generate``, which reads a generation config that comes with the model (``decoding.py`` says why), and beams.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from distill.cached import given, kept


@torch.no_grad()
def greedy(
    model: PreTrainedModel,
    inputs: Mapping[str, Tensor],
    length: int,
    stop: int | None,
    vocabulary: int | None = None,
    never: Sequence[int] = (),
) -> list[list[int]]:
    """What each row is answered, up to ``stop``, which is not among it.

    Args:
        inputs: prompts of one length, and what else is shown.
        length: tokens at most.
        vocabulary: only ids below it are written.
        never: ids that are not written (those that a speech model keeps for itself).
    """
    place = "decoder_input_ids" if "decoder_input_ids" in inputs else "input_ids"
    mask = inputs.get("attention_mask") if place == "input_ids" else None
    seen: Any = model(**inputs, use_cache=True)
    rows = inputs[place].shape[0]
    found: list[list[int]] = [[] for _ in range(rows)]
    going = torch.ones(rows, dtype=torch.bool, device=inputs[place].device)
    more = {} if place == "input_ids" else {"encoder_outputs": (seen.encoder_last_hidden_state,)}
    for written in range(1, length + 1):
        logits = seen.logits[:, -1, :vocabulary].float()  # (B, V)
        if len(never):
            logits[:, list(never)] = -torch.inf
        token = logits.argmax(-1)
        going &= token != -1 if stop is None else token != stop
        for row in going.nonzero()[:, 0].tolist():
            found[row].append(int(token[row]))
        if written == length or not going.any():
            break
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=1)
            more = {"attention_mask": mask}
        seen = model(**{place: token[:, None]}, **given(model, kept(seen)), use_cache=True, **more)
    return found
