"""Distributions compared by rank, blind to which token is which: universal logit distillation (ULD)."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from distill.alignment.alignment import Alignment, Spelling
from distill.alignment.groups import spanned, token_by_token
from distill.alignment.matched import Match, Matched, at_group_starts
from distill.alignment.tally import HeardTally
from distill.signals.softening import log_probabilities
from distill.types import Batch, Signal, Spanned


class Sorted(Alignment):
    """Both sides sorted, the likeliest token against the likeliest; the smaller vocabulary is filled up with zeros.

    Formula: (p_(1), …, p_(V)) against (q_(1), …, q_(V)), p_(1) ≥ p_(2) ≥ …, V the larger vocabulary
    Source: Boizard et al. (2024). Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss for LLMs.
        arXiv:2402.12030

    The paper's loss on it is L1 (``loss=uld``), a Wasserstein distance with uniform costs. Divergences that are
    infinite where one side is 0 do not suit the zeros. A teacher whose vocabulary is permuted says the same: the signal
    is weak.

    The paper stands the t-th token beside the t-th (``index``), whatever they spell. Its code takes the logits at the
    answer's tokens instead of before them, so that the first is never scored and one behind the last is; here the
    position that predicts a token was chosen in the data, on both sides.

    Args:
        match: ``spans``: the first tokens of groups that cover the same bytes, where both sides have read the same
            text; ``index``: the t-th token of a sample with the t-th, up to the shorter side's last.
    """

    crosses: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(self, match: Literal["spans", "index"] = "spans") -> None:
        self.match = match
        self.tally = HeardTally()
        self.vocabulary = 0

    def prepare(self, student: Spelling, teacher: Spelling) -> None:
        self.vocabulary = len(teacher)

    def align(self, signal: Signal | None, batch: Batch) -> Signal | None:
        if signal is None:
            return signal
        told = spanned(signal, batch) if batch.spans else token_by_token(signal, batch)
        match = by_index(told, batch) if self.match == "index" and batch.spans else at_group_starts(told)
        self.tally.add(match.heard)
        return SortedSignal(match, self.vocabulary)

    def account(self) -> Mapping[str, float]:
        return self.tally.told()


def by_index(told: Spanned, batch: Batch) -> Match:
    """The t-th token of each sample beside the t-th of the other side's."""
    assert batch.spans is not None
    samples = len(batch.samples)
    counts = [owners.bincount(minlength=samples) for owners in (batch.owners, batch.spans.teacher_owners)]
    firsts = [count.cumsum(0) - count for count in counts]  # tokens of a sample stand together
    places = torch.arange(batch.tokens, device=batch.owners.device) - firsts[0][batch.owners]
    heard = places < counts[1][batch.owners]
    return Match(told, torch.where(heard, firsts[1][batch.owners] + places, 0), heard)


class SortedSignal(Matched):
    """Probabilities by rank."""

    def sides(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        width = max(logits.shape[1], chunk[0].shape[1])
        told = log_probabilities(chunk[0], temperature), log_probabilities(logits, temperature)
        log_p, log_q = (
            functional.pad(logs.sort(dim=1, descending=True).values, (0, width - logs.shape[1]), value=-torch.inf)
            for logs in told
        )
        return log_p, log_q

    def answers(self, chunk: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """Nobody knows at which rank the target lies: the first."""
        return torch.zeros_like(targets)
