"""What an encoder-decoder writes of its sources, by greedy or beam search: a teacher's targets, and translations.

transformers does the search, under a generation config that is made here: the one that a folder brings (a length
penalty, forced or forbidden tokens) would make two copies of one model write differently. Left out on purpose:
sampling.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

from distill.models import evaluating

AT_ONCE = 64
"""Sources of a call."""


def search(start: int, end: int, padding: int, beams: int, candidates: int, longest: int) -> GenerationConfig:
    """How texts are searched for: nothing but the model's own likelihood, per token, decides.

    Args:
        start, end, padding: ids.
        beams: 1 is greedy.
        candidates: that are returned for each source, the likeliest first; at most ``beams``.
        longest: tokens that are written at most.
    """
    return GenerationConfig(
        decoder_start_token_id=start,
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=padding,
        num_beams=beams,
        num_return_sequences=candidates,
        max_new_tokens=longest,
        length_penalty=1.0,
        early_stopping=beams > 1,
        do_sample=False,
    )


@torch.no_grad()
def written(
    model: PreTrainedModel, sources: Sequence[np.ndarray], config: GenerationConfig, padding: int
) -> Iterator[list[list[int]]]:
    """For each source, in order, its candidates: ids without start, end and padding.

    Args:
        sources: ids of each, marks included; shown sorted by length, so that little padding is computed.
    """
    order = sorted(range(len(sources)), key=lambda index: len(sources[index]))
    found: dict[int, list[list[int]]] = {}
    with evaluating(model):
        for first in range(0, len(order), AT_ONCE):
            some = order[first : first + AT_ONCE]
            ids, mask = _inputs([sources[index] for index in some], padding, model.device)
            told = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)  # pyright: ignore
            rows = told.view(len(some), -1, told.shape[-1]).tolist()
            found |= {index: [_plain(one, config) for one in row] for index, row in zip(some, rows, strict=True)}
    for index in range(len(sources)):
        yield found[index]


def _inputs(sources: Sequence[np.ndarray], padding: int, device: torch.device) -> tuple[Tensor, Tensor]:
    width = max(len(one) for one in sources)
    ids = torch.full((len(sources), width), padding)
    for row, one in enumerate(sources):
        ids[row, : len(one)] = torch.from_numpy(one)
    lengths = torch.as_tensor([len(one) for one in sources])
    return ids.to(device), (torch.arange(width) < lengths[:, None]).long().to(device)


def _plain(ids: list[int], config: GenerationConfig) -> list[int]:
    """Behind the start, up to the first end."""
    ids = ids[1:]
    return ids[: ids.index(config.eos_token_id)] if config.eos_token_id in ids else ids
