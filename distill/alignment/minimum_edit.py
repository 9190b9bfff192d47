"""Tokens matched by the edit distance of their strings: minimum edit alignment (MinED)."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from distill.alignment.alignment import Alignment, Spelling
from distill.alignment.edits import nearest, warped
from distill.alignment.events import EXCLUDED, Coarsening
from distill.alignment.groups import spanned
from distill.alignment.matched import Match, Matched
from distill.alignment.tally import HeardTally
from distill.signals.softening import log_probabilities
from distill.types import Batch, Signal, Spanned


class MinimumEdit(Alignment):
    """Tokens beside the tokens of least edit distance; the teacher's mass moved to the student's nearest strings.

    Formula: P(v) = Σ p(u) over the teacher's tokens u whose nearest string in the student's vocabulary is v
    Source: Wan et al. (2024). Knowledge Fusion of Large Language Models. arXiv:2401.10491

    Positions are warped against each other (dynamic time warping with the edit distance as its cost) within each group
    of tokens that cover the same bytes: outside such groups the strings are equal, at no cost. A student's token is
    heard if it and a teacher's token are each other's only partner. In the authors' use of it tokens without a partner
    are given the data's token as their target; here they are left out of the teacher's terms, and ``cross_entropy``
    has a weight of its own. A pair need not begin at the same byte: what is compared there is approximate.

    Special tokens of the teacher are excluded and the rest renormalised. Strings are nearest in bytes; of equally near
    ones the student's lower id is taken.
    """

    crosses: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(self) -> None:
        self.tally = HeardTally()
        self._student: Spelling = ()
        self._teacher: Spelling = ()

    def prepare(self, student: Spelling, teacher: Spelling) -> None:
        self._student, self._teacher = student, teacher
        self.moved = Coarsening(_moved(student, teacher), len(student))

    def align(self, signal: Signal | None, batch: Batch) -> Signal | None:
        if signal is None or batch.spans is None:
            return signal
        told = spanned(signal, batch)
        match = self._matched(told, batch.targets)
        self.tally.add(match.heard)
        return MovedSignal(match, len(self._teacher), self.moved)

    def account(self) -> Mapping[str, float]:
        return self.tally.told()

    def _matched(self, told: Spanned, targets: Tensor) -> Match:
        rows = torch.zeros_like(targets)
        heard = torch.zeros_like(targets, dtype=torch.bool)
        ours = _runs(told.groups.tolist(), targets.tolist(), told.count)
        theirs = _runs(told.teacher_groups.tolist(), told.teacher_targets.tolist(), told.count)
        found = [
            (mine[i][0], other[j][0])
            for mine, other in zip(ours, theirs, strict=True)
            for i, j in _only_partners(_strings(mine, self._student), _strings(other, self._teacher))
        ]
        if found:
            places = torch.tensor(found, device=targets.device)
            rows[places[:, 0]], heard[places[:, 0]] = places[:, 1], True
        return Match(told, rows, heard)


class MovedSignal(Matched):
    """The student's vocabulary, with the teacher's mass moved to it."""

    def __init__(self, match: Match, vocabulary: int, moved: Coarsening) -> None:
        super().__init__(match, vocabulary)
        self._moved = moved.to(match.rows.device)

    def sides(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        log_p = self._moved(log_probabilities(chunk[0], temperature))
        log_p = log_p.log_softmax(-1) if self._moved.excluding else log_p
        return log_p, log_probabilities(logits, temperature)


def _moved(student: Spelling, teacher: Spelling) -> list[int]:
    """The student's id that each of the teacher's tokens is nearest to; ``EXCLUDED`` for what spells nothing."""
    known = {told: index for index, told in reversed(list(enumerate(student))) if told}
    missing = sorted({told for told in teacher if told and told not in known})
    near = dict(zip(missing, nearest(missing, strings := sorted(known, key=known.__getitem__)), strict=True))
    return [EXCLUDED if not told else known[told] if told in known else known[strings[near[told]]] for told in teacher]


def _runs(groups: Sequence[int], ids: Sequence[int], count: int) -> list[list[tuple[int, int]]]:
    """The (place, id) of the tokens of each group."""
    runs: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for place, (group, index) in enumerate(zip(groups, ids, strict=True)):
        if group >= 0:
            runs[group].append((place, index))
    return runs


def _strings(run: Sequence[tuple[int, int]], spelling: Spelling) -> tuple[bytes, ...]:
    return tuple(spelling[index] or b"" for _, index in run)


def _only_partners(left: tuple[bytes, ...], right: tuple[bytes, ...]) -> list[tuple[int, int]]:
    """Pairs of a walk whose two members are in no other pair."""
    pairs = ((0, 0),) if len(left) == len(right) == 1 else warped(left, right)
    mine, theirs = [i for i, _ in pairs], [j for _, j in pairs]
    return [(i, j) for i, j in pairs if mine.count(i) == 1 and theirs.count(j) == 1]
