"""What the signals of every alignment have in common: the teacher's word at some of the student's tokens."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from distill.types import Signal, Spanned


@dataclass(frozen=True)
class Match:
    """Which of the teacher's tokens stands beside each of the student's.

    Attributes:
        spanned: the groups that it was taken from.
        rows: (N,) int64, the teacher's token beside each of the student's; any one where none is heard.
        heard: (N,) bool.
    """

    spanned: Spanned
    rows: Tensor
    heard: Tensor


class Matched(Signal):
    """log p and log q on a support of their own at the student's tokens where ``match`` hears the teacher, and two
    equal uniform sides elsewhere.

    A row of a chunk depends on no other row. What is read a chunk: the teacher's logits (C, V of the teacher), whether
    it is heard (C,), and what a subclass adds.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(self, match: Match, vocabulary: int) -> None:
        """
        Args:
            match: which tokens stand beside each other.
            vocabulary: the teacher's ids.
        """
        self.match, self.vocabulary = match, vocabulary
        silent = not match.spanned.teacher_targets.numel()  # it was shown no text: a batch of pieces of one token
        self._teacher = None if silent else match.spanned.teacher.at(match.rows)

    @property
    def spanned(self) -> Spanned:
        return self.match.spanned

    def chunk(self, rows: slice) -> tuple[Tensor, ...]:
        heard = self.match.heard[rows]
        if self._teacher is None:
            logits = torch.zeros(heard.numel(), self.vocabulary, device=heard.device)  # (C, V)
        else:
            logits = self._teacher.chunk(rows)[0]
        return (logits, heard, *self.more(rows))

    def heard(self, chunk: tuple[Tensor, ...]) -> Tensor:
        return chunk[1]

    def pair(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        log_p, log_q = self.sides(chunk, logits, temperature)
        uniform = -torch.log(torch.tensor(float(log_p.shape[-1]), dtype=log_p.dtype, device=log_p.device))
        heard = chunk[1][:, None]
        return torch.where(heard, log_p, uniform), torch.where(heard, log_q, uniform)

    def more(self, rows: slice) -> tuple[Tensor, ...]:
        """What a chunk holds beside the teacher's logits; each (C, …)."""
        return ()

    @abstractmethod
    def sides(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        """(log p, log q), each (C, K'); finite gradients also where nothing is heard."""


def at_group_starts(spanned: Spanned) -> Match:
    """The first token of each group beside the first of the other side's: there both have read the same text."""
    device, tokens = spanned.groups.device, spanned.groups.numel()
    rows = torch.zeros(tokens, dtype=torch.int64, device=device)
    heard = torch.zeros(tokens, dtype=torch.bool, device=device)
    rows[spanned.first] = spanned.teacher_first
    heard[spanned.first] = True
    return Match(spanned, rows, heard)
