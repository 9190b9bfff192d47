"""From what a server says of a prompt to a signal: ``prompt_logprobs`` of vLLM, read and mistrusted.

The shape, as recorded from vLLM 0.32: ``[null, {"<id>": {"logprob": …, "rank": …, "decoded_token": …}, …}, …]``, one
entry a token, the first null because nothing comes before it; in each entry the K likeliest ids and, where it is none
of them, the token that was there.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from distill.errors import BadInput
from distill.signals.topk import TopK

SLACK = 1e-3
"""By how much probabilities may exceed 1: servers write five digits."""
LEAST_TAIL = 2.0**-24
"""The rest of a distribution is known to float32's rounding of a sum near 1, and no better; an empty tail would put
reverse divergences at infinity."""
EXPECTED = "expected prompt_logprobs as vLLM gives them"


def entries(answer: Any, prompts: Sequence[Sequence[int]], place: str) -> list[list[Mapping[str, Any] | None]]:
    """The ``prompt_logprobs`` of every prompt of an answer.

    Raises:
        BadInput: the answer has another shape.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or len(choices) != len(prompts):
        raise _wrong(place, "no list of choices, one a prompt")
    found = []
    for choice, prompt in zip(choices, prompts, strict=True):
        told = choice.get("prompt_logprobs") if isinstance(choice, dict) else None
        if told is None:
            raise _wrong(place, "no prompt_logprobs: the server does not tell them")
        if not isinstance(told, list) or len(told) != len(prompt) or told[:1] != [None]:
            raise _wrong(place, "prompt_logprobs that are not one entry a token, the first null")
        found.append(told)
    return found


def likeliest(entry: Any, token: int, k: int, vocabulary: int, place: str) -> tuple[list[int], list[float]]:
    """The K likeliest tokens of an entry and their log-probabilities, in order.

    Args:
        entry: of one position.
        token: that was there; the entry must speak of it, or it is about another text.

    Raises:
        BadInput: the entry has another shape, is about another token, or is no distribution.
    """
    if not isinstance(entry, dict):
        raise _wrong(place, "an entry that is no object")
    try:
        told = {int(name): float(one["logprob"]) for name, one in entry.items()}
    except (TypeError, ValueError, KeyError):
        raise _wrong(place, "an entry that is not {id: {logprob: number}}") from None
    if token not in told:
        raise _wrong(place, f"an entry that does not speak of the token that was there (id {token})")
    ranked = sorted(told.items(), key=lambda pair: -pair[1])[:k]
    if len(ranked) < min(k, vocabulary):
        raise _wrong(place, f"{len(ranked)} tokens where {k} were asked for")
    ids, logs = [one for one, _ in ranked], [log for _, log in ranked]
    if min(ids) < 0 or max(ids) >= vocabulary:
        reason = f"names token {max(ids)}, the shared vocabulary has {vocabulary}"
        raise BadInput(place, reason, remedy="name the served model's tokenizer (teacher.tokenizer)")
    if not all(log <= SLACK for log in logs) or sum(map(math.exp, logs)) > 1 + SLACK:
        raise _wrong(place, "log-probabilities that are those of no distribution")
    return ids, logs


def signal(rows: Sequence[tuple[list[int], list[float]]], vocabulary: int, device: torch.device) -> TopK:
    """Positions one after the other.

    Formula: tail = log max(1 − Σ p_k, 2^−24)
    """
    ids = torch.tensor([one for one, _ in rows], dtype=torch.long)  # (N, K)
    logs = torch.tensor([one for _, one in rows], dtype=torch.float64)  # (N, K)
    tail = (1.0 - logs.exp().sum(-1)).clamp(min=LEAST_TAIL).log()  # (N,)
    return TopK(ids.to(device), logs.float().to(device), tail.float().to(device), 1.0, vocabulary)


def _wrong(place: str, found: str) -> BadInput:
    return BadInput(
        place, f"the server's answer has {found}; {EXPECTED}", remedy="serve the model with vLLM or distill serve"
    )
