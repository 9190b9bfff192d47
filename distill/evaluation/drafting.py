"""Speculative decoding: a small model writes ahead, a large one checks, and the text is the large one's to the letter.

Left out on purpose: caches for either (what is measured is how much is accepted, and that the text is the same), and
sampling, whose acceptance is a matter of probabilities (``agreement`` measures those).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel


@dataclass(frozen=True)
class Drafted:
    """One text.

    Attributes:
        ids: the large model's greedy text, the end left out.
        accepted, drafted: tokens of the small model.
        passes: of the large model.
    """

    ids: list[int]
    accepted: int
    drafted: int
    passes: int


@torch.no_grad()
def speculative(
    large: PreTrainedModel,
    small: PreTrainedModel,
    inputs: Mapping[str, Tensor],
    ahead: int,
    length: int,
    stop: int | None,
    vocabulary: int | None = None,
    never: Sequence[int] = (),
) -> Drafted:
    """Greedy speculative decoding of one row.

    Source: Leviathan, Kalman, Matias 2023, Fast Inference from Transformers via Speculative Decoding,
        https://arxiv.org/abs/2211.17192, algorithm 1 at temperature 0; for Whisper: Gandhi et al. 2023,
        https://arxiv.org/abs/2311.00430, section 6.

    Args:
        inputs: of both; ``decoder_input_ids`` (1, S), and ``encoder_outputs`` if the two share an encoder.
        ahead: tokens that the small model writes before it is checked.
        length, stop, vocabulary, never: as of ``greedy``.
    """
    prompt = inputs["decoder_input_ids"]
    text: list[int] = []
    accepted = drafted = passes = 0
    while len(text) < length:
        draft: list[int] = []
        while len(draft) < ahead and (not draft or draft[-1] != stop):
            draft.append(_next(small, inputs, prompt, text + draft, vocabulary, never)[-1])
        told = _next(large, inputs, prompt, text + draft, vocabulary, never)[len(text) :]  # of every place of the draft
        passes += 1
        right = next(
            (i for i, (ours, theirs) in enumerate(zip(draft, told, strict=False)) if ours != theirs), len(draft)
        )
        accepted, drafted = accepted + right, drafted + len(draft)
        text += [*draft[:right], told[right]] if right < len(draft) or draft[-1] != stop else draft
        if stop in text:
            text = text[: text.index(stop)]
            break
    return Drafted(text[:length], accepted, drafted, passes)


def _next(
    model: PreTrainedModel,
    inputs: Mapping[str, Tensor],
    prompt: Tensor,
    text: Sequence[int],
    vocabulary: int | None,
    never: Sequence[int],
) -> list[int]:
    """What follows the prompt and every beginning of the text."""
    ids = torch.cat([prompt, torch.tensor([list(text)], dtype=prompt.dtype, device=prompt.device)], dim=1)
    logits = model(**{**inputs, "decoder_input_ids": ids}, use_cache=False).logits[
        0, prompt.shape[1] - 1 :, :vocabulary
    ]
    if len(never):
        logits[:, list(never)] = -torch.inf
    return logits.argmax(-1).tolist()
