"""Texts that models write by chance, and what models think at every place of them: what is asked of visited states.

All subjects draw with the same noise (argmax of logits plus Gumbel noise is a sample of their softmax), so two
students are compared on texts that differ by as little as their distributions do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.data.prompts import Prompt
from distill.evaluation.decoding import Writer
from distill.evaluation.subject import Subject
from distill.models import answer
from distill.types import Outputs

ELEMENTS = 2**22
"""Of the log-probabilities that exist at once for each side."""


@dataclass(frozen=True)
class Text:
    """Prompts and what was written after them.

    Attributes:
        ids: (B, S + A), the prompts cut to one length S, then A written tokens.
        prompt: S.
        alive: (B, A) bool, whether a token was written before the end mark (which counts).
    """

    ids: Tensor
    prompt: int
    alive: Tensor

    @property
    def positions(self) -> Tensor:
        """(N,) in the flattened ids, of the states that the living tokens were written in."""
        width, places = self.ids.shape[1], torch.arange(self.alive.shape[1], device=self.ids.device)
        rows = torch.arange(self.ids.shape[0], device=self.ids.device)[:, None] * width
        return (rows + self.prompt - 1 + places)[self.alive]

    @property
    def targets(self) -> Tensor:
        """(N,) the living tokens."""
        return self.ids[:, self.prompt :][self.alive]

    @property
    def owners(self) -> Tensor:
        """(N,) the prompt of each."""
        rows = torch.arange(self.ids.shape[0], device=self.ids.device)[:, None]
        return rows.expand_as(self.alive)[self.alive]

    @property
    def places(self) -> Tensor:
        """(N,) how many tokens were written before each."""
        return torch.arange(self.alive.shape[1], device=self.ids.device).expand_as(self.alive)[self.alive]


def beginnings(prompts: Sequence[Prompt]) -> Tensor:
    """(B, S) the prompts' last S ids, S the length of the shortest."""
    length = min(len(prompt.ids) for prompt in prompts)
    return torch.tensor([prompt.ids[-length:] for prompt in prompts])


def drawn(subject: Subject, prompts: Tensor, length: int, seed: int, temperature: float = 1.0) -> Text:
    """What a subject writes after the prompts.

    Args:
        subject: in evaluation mode.
        prompts: (B, S) ids.
        length: of what is written; fewer where the model has no more positions.
        seed: of the noise, the same for every subject.
        temperature: 0 takes the likeliest.
    """
    chance = torch.Generator().manual_seed(seed)
    positions = getattr(subject.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    length = length if positions is None else min(length, positions - prompts.shape[1])
    given = prompts = prompts.to(subject.model.device)
    writer, end = Writer(subject), subject.tokenizer.eos_token_id
    written = []
    for _ in range(length):
        logits = writer.scores(given)  # (B, V)
        if temperature > 0:
            noise = torch.empty(logits.shape).exponential_(generator=chance).log().neg()
            logits = logits / temperature + noise.to(logits)
        given = logits.argmax(-1, keepdim=True)
        written.append(given)
    told = torch.cat(written, dim=1)  # (B, A)
    ended = (told == (end if isinstance(end, int) else -1)).long().cumsum(1)
    alive = (ended == 0) | ((ended == 1) & (told == end))
    return Text(torch.cat([prompts, told], dim=1), prompts.shape[1], alive)


@torch.no_grad()
def thought(subject: Subject, text: Text) -> Outputs:
    """What a subject says at the states of a text's living tokens."""
    return answer(subject.model, {"input_ids": text.ids}, text.positions, vocabulary=subject.vocabulary)


@torch.no_grad()
def sides(first: Outputs, second: Outputs) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """(rows, log p, log q) of two answers at the same states, a few at a time, over the ids that both know."""
    shared = min(first.head.vocabulary, second.head.vocabulary)
    size = max(1, ELEMENTS // shared)
    for start in range(0, first.hidden.shape[0], size):
        rows = slice(start, start + size)
        log_p, log_q = (one.head.cut(shared).logits(one.hidden[rows]).log_softmax(-1) for one in (first, second))
        yield rows, log_p, log_q
