"""What is watched of written text, since nobody reads it: entropy, length, repetition, ends, and how far from the
teacher the student is where its own text has led it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from distill.divergences.kl import forward_kl, reverse_kl
from distill.rollouts.text import STUDENT, Text
from distill.rollouts.writing import Draft
from distill.types import Batch, Outputs, Signal

TOKENS = 256
"""Whose logits exist at once."""
UNITS = {
    "rollout/length": "count",
    "rollout/ended": "fraction",
    "rollout/repetition_4": "fraction",
    "rollout/own": "fraction",
    "rollout/written": "count",
    "rollout/data_share": "fraction",
    "rollout/replayed": "fraction",
    "rollout/share": "fraction",
    "rollout/buffer": "count",
}


def of_draft(draft: Draft) -> dict[str, float]:
    """Numbers of one writing.

    Formula: entropy = mean H(q) over written places, the writer's; own = share of the tokens that are the
        first writer's; repetition_4 = mean over texts of the share of 4-grams that stood in it before
    """
    alive = draft.alive
    return {
        "rollout/entropy": draft.entropy[alive].mean().item(),
        "rollout/length": draft.lengths.double().mean().item(),
        "rollout/ended": draft.ended.double().mean().item(),
        "rollout/own": draft.own[alive].double().mean().item(),
        "rollout/repetition_4": repeated([row[: int(n)] for row, n in zip(draft.tokens, draft.lengths, strict=True)]),
    }


def repeated(texts: Sequence[Tensor], size: int = 4) -> float:
    """Mean share of a text's n-grams that it has had before."""
    shares = []
    for text in texts:
        grams = [tuple(gram) for gram in text.unfold(0, size, 1).tolist()] if len(text) >= size else []
        shares.append(1 - len(set(grams)) / len(grams) if grams else 0.0)
    return sum(shares) / max(len(shares), 1)


@torch.no_grad()
def visited(outputs: Outputs, signal: Signal | None, batch: Batch) -> dict[str, float]:
    """Mean KL between teacher and student at the states that the student's own text has led to.

    Nothing where no text is the student's, or where the teacher tells no distribution.
    """
    own = (batch.labels["writers"] == STUDENT) if "writers" in batch.labels else torch.zeros(0, dtype=torch.bool)
    if signal is None or not own.any() or not {"logits", "topk"} & signal.provides:
        return {}
    sums, count = torch.zeros(2, dtype=torch.float64), int(own.sum())
    for start in range(0, batch.tokens, TOKENS):
        rows = slice(start, min(start + TOKENS, batch.tokens))
        logits = outputs.head.logits(outputs.hidden[rows])
        log_p, log_q = signal.pair(signal.chunk(rows), logits, 1.0)
        for i, told in enumerate((forward_kl(log_p, log_q), reverse_kl(log_p, log_q))):
            sums[i] += told[own[rows]].double().sum().cpu()
    return dict(zip(("rollout/kl_visited", "rollout/reverse_kl_visited"), (sums / count).tolist(), strict=True))


def counted(texts: Sequence[Text]) -> int:
    """Tokens of texts."""
    return sum(len(text.tokens) for text in texts)
