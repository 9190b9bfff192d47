"""A text that somebody wrote after a prompt, and texts as a batch.

Each text has a row of its own, padded on the right, with an attention mask: what every causal model understands.
Supervised are the written tokens, the end mark among them if it was written; the prompt is not. What is padding is told
by its place, so a padding id that is also the end mark hides nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from distill.types import Batch

DATA, STUDENT, TEACHER = 0, 1, 2
"""Who wrote a text: ``Batch.labels["writers"]``."""
NOBODY = torch.inf
"""The log-probability with which text of the data was drawn: any model's importance weight beside it is 0."""


@dataclass(frozen=True)
class Text:
    """One sample.

    Attributes:
        prompt: (n,) int64, what the student is shown.
        told: (m,) int64, what the teacher is shown instead; the same tensor where that is no other.
        tokens: (t,) int64, written after it, at least one.
        behaviour: (t,) float32, log-probability of each token under the distribution it was drawn from.
        writer: DATA, STUDENT or TEACHER.
        domain: where its prompt is from.
        ended: the writer ended it; else it was cut.
        weight: of each of its tokens in every loss, as the data weighs its prompt.
    """

    prompt: Tensor
    told: Tensor
    tokens: Tensor
    behaviour: Tensor = field(default_factory=lambda: torch.zeros(0))
    writer: int = DATA
    domain: str = ""
    ended: bool = True
    weight: float = 1.0


def laid(texts: Sequence[Text], padding: int, device: torch.device) -> Batch:
    """The batch of texts, one a row, in their order."""
    inputs, positions = _rows([text.prompt for text in texts], texts, padding)
    apart = any(text.told is not text.prompt for text in texts)
    told = _rows([text.told for text in texts], texts, padding) if apart else (inputs, positions)
    lengths = torch.tensor([len(text.tokens) for text in texts])
    owners = torch.arange(len(texts)).repeat_interleave(lengths)  # (N,)
    nobody = torch.full((int(lengths.max()),), NOBODY)
    labels = {
        "writers": torch.tensor([text.writer for text in texts])[owners],
        "behaviour": torch.cat([text.behaviour if text.writer else nobody[: len(text.tokens)] for text in texts]),
    }
    weights = torch.tensor([text.weight for text in texts])[owners]
    return Batch(
        inputs=inputs,
        teacher_inputs=told[0],
        positions=positions,
        teacher_positions=told[1],
        targets=torch.cat([text.tokens for text in texts]),
        owners=owners,
        samples=tuple(_hash(text) for text in texts),
        domains=tuple(text.domain for text in texts),
        labels=labels,
        weights=None if (weights == 1).all() else weights,
    ).to(device)


def evened(batch: Batch) -> Batch:
    """The same with every text counting alike, however long it is: what GKD averages.

    Formula: weight of a token of text i = N / (B L_i), so that (1/N) Σ_n is (1/B) Σ_i (1/L_i) Σ_t
    """
    lengths = torch.bincount(batch.owners, minlength=len(batch.samples))
    even = batch.tokens / (len(batch.samples) * lengths[batch.owners].float())
    return replace(batch, weights=even if batch.weights is None else even * batch.weights)


def _rows(prompts: Sequence[Tensor], texts: Sequence[Text], padding: int) -> tuple[dict[str, Tensor], Tensor]:
    """What a model is given, and (N,) where each written token is predicted."""
    shown = [torch.cat([prompt, text.tokens[:-1]]) for prompt, text in zip(prompts, texts, strict=True)]
    width = max(len(row) for row in shown)
    ids = torch.full((len(shown), width), padding)  # (B, S)
    mask = torch.zeros_like(ids)
    positions = []
    for b, (prompt, row) in enumerate(zip(prompts, shown, strict=True)):
        ids[b, : len(row)], mask[b, : len(row)] = row, 1
        positions.append(torch.arange(b * width + len(prompt) - 1, b * width + len(row)))
    return {"input_ids": ids, "attention_mask": mask}, torch.cat(positions)


def _hash(text: Text) -> str:
    shown = torch.cat([text.prompt, text.tokens[:-1]])
    digest = hashlib.sha256(shown.numpy().astype("<i4").tobytes())
    if text.told is not text.prompt:
        digest.update(text.told.numpy().astype("<i4").tobytes())
    return digest.hexdigest()
