"""Tokens that cover the same bytes: the default between two tokenizers.

What is compared where. Tokens are grouped by the bytes that they cover (``groups``). At a group's first token both
sides have read the same text, so what they say about the text that comes can be compared there, whatever lies inside
the group. Each side's distribution over its vocabulary is brought onto events of the text (``events``); where one token
of the student's is spelled by several of the teacher's, the span itself is one more event, with its exact probability
by the chain rule. What is compared is a distribution on both sides, for any divergence and any temperature.

Inside an event of several tokens nothing is said about which of them it is, but for the span that came. So a divergence
under this alignment wants company: a weight for ``cross_entropy``, or ``loss=span_likelihood`` (objective=likelihood).
Quickstart, teacher with 512 tokens beside the student's 1,024, 300 steps, one seed, bits per byte of the student: 3.25
with forward KL alone, 2.67 with cross-entropy alone, 2.37 with forward KL and 0.3 cross-entropy, 2.35 with forward KL
and span likelihoods (teacher 1.91).

The student's later tokens in a group begin where the teacher has no token boundary: they are not heard here. Their span
as a whole is what ``loss=span_likelihood`` compares, the chain rule on both sides.

Left out on purpose: GOLD's "observed" merge, p̃(v) = p(v | first) · Π p(token_i | …) over the observed rest of the
group. It multiplies every alternative v by the probability of a rest that only the observed token has, so each side
sums to less than one, by a factor of its own: two such sides are no distributions, and a divergence between them can be
negative.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from distill.alignment import likelihood
from distill.alignment.alignment import Alignment, Spelling
from distill.alignment.events import EXCLUDED, Coarsening, by_prefix, by_string, unmatched
from distill.alignment.groups import spanned
from distill.alignment.matched import Match, Matched, at_group_starts
from distill.alignment.remainder import Remainder
from distill.alignment.tally import HeardTally
from distill.signals.softening import log_probabilities
from distill.types import Batch, Signal

WHOLE = 1e-6
"""A span has at most this much less than the whole of its event: in float32 the difference would be 0, its logarithm
infinite."""


class ByteSpans(Alignment):
    """Groups of tokens that cover the same bytes, compared on events of the text that both vocabularies can tell.

    Formula: P(e) = Σ p(v) over the tokens v of event e, on both sides, and P(span) = Π_i p(token_i | tokens before it)
        apart from the event that it lies in, where one token of the student's is several of the teacher's
    Source: Hugging Face H4 (2025). General Online Logit Distillation (GOLD), as in TRL's experimental trainer.

    The events, by ``remainder``, the tokens of each vocabulary whose string the other does not know:
        ``prefix``: belong to the longest beginning of theirs that both know. For tokenizers that always take the
            longest token they know these are events of the text itself; with equal vocabularies they are the tokens;
            beside a teacher of bytes they are the next byte. Exact, nothing is left over.
        ``bucket``: are one event.
        ``sorted``: are matched by rank, the likeliest with the likeliest, as in GOLD's hybrid loss (which takes its L1:
            ``loss=total_variation``); the longer side's last ones are one event.
    Special tokens of one side only are excluded and the rest renormalised.

    A temperature softens the choice at a group's first token; the teacher's rest of a span is taken at temperature 1.
    The probability of a span is that of its own tokens, other ways of spelling it are left out, and BPEs do not always
    take the longest token: to that extent even ``prefix`` is an approximation. Equal tokenizers give what
    ``identity`` gives, bit for bit.

    Args:
        remainder: what becomes of tokens that only one side has.
    """

    crosses: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(self, remainder: Literal["prefix", "bucket", "sorted"] = "prefix") -> None:
        self.remainder = remainder
        self.tally = HeardTally()
        self._same = False

    def prepare(self, student: Spelling, teacher: Spelling) -> None:
        self._same, self.vocabulary = list(student) == list(teacher), len(teacher)
        partition = (by_prefix if self.remainder == "prefix" else by_string)(student, teacher)
        self._sides = {True: Coarsening(partition.student, partition.count)}
        self._sides[False] = Coarsening(partition.teacher, partition.count)
        alone, others = unmatched(student, partition.student), unmatched(teacher, partition.teacher)
        self._rests = None
        if self.remainder != "prefix" and alone:
            self._rests = Remainder(alone, others, by_rank=self.remainder == "sorted")
        self.width = partition.count + (0 if self._rests is None else self._rests.ranks)
        self.bucket = partition.count if self._rests is not None and self._rests.ranks == 1 else EXCLUDED
        self._excluding = {
            side: events.count(EXCLUDED) > (0 if self._rests is None else len(rest))
            for side, events, rest in ((True, partition.student, alone), (False, partition.teacher, others))
        }

    def align(self, signal: Signal | None, batch: Batch) -> Signal | None:
        if signal is None or batch.spans is None:
            return signal
        told = spanned(signal, batch)
        match = at_group_starts(told)
        self.tally.add(match.heard)
        tokens = torch.arange(batch.spans.teacher_targets.numel(), device=match.rows.device)
        if self._same and match.heard.all() and torch.equal(match.rows, tokens):
            return signal
        return SpanSignal(match, batch, self)

    def account(self) -> Mapping[str, float]:
        return self.tally.told()

    def to(self, device: torch.device) -> None:
        """Move what it knows of the vocabularies to where the batches are."""
        for part in (*self._sides.values(), *([] if self._rests is None else [self._rests])):
            part.to(device)

    def events(self, logs: Tensor, student: bool) -> tuple[Tensor, Tensor | float]:
        """(C, V) -> (C, E) log-probabilities of events, and the logarithm of what was not excluded, which divides."""
        made = self._sides[student](logs)
        if self._rests is not None:
            made = torch.cat([made, self._rests(logs, student)], 1)
        if not self._excluding[student]:
            return made, 0.0
        kept = made.logsumexp(1, keepdim=True)
        return made - kept, kept

    def event(self, ids: Tensor, student: bool) -> Tensor:
        """The event of each id; -1 for what is in none, or in one of several by rank."""
        found = self._sides[student].event[ids]
        return torch.where(found == EXCLUDED, self.bucket, found)


class SpanSignal(Matched):
    """Events at the first tokens of groups, and spans apart from theirs.

    Read a chunk, beside the teacher's logits and what is heard: the span's event on the teacher's and on the student's
    side (C,), -1 where it is not taken apart; the student's token (C,), the teacher's first (C,), log p of its rest
    (C,).
    """

    def __init__(self, match: Match, batch: Batch, alignment: ByteSpans) -> None:
        super().__init__(match, alignment.vocabulary)
        self.alignment = alignment
        alignment.to(batch.targets.device)
        told = match.spanned
        self._targets = batch.targets
        self._firsts = torch.zeros_like(batch.targets)  # (N,) the teacher's first token of each group
        self._firsts[told.first] = told.teacher_targets[told.teacher_first]
        self._places = self._taken_apart()
        self._rests = self._rest_of_spans()

    def _taken_apart(self) -> tuple[Tensor, Tensor]:
        """(N,), (N,) the teacher's and the student's event of each span that is one token of the student's and several
        of the teacher's; -1 where it is not, or where its first tokens lie in different events (a BPE that did not take
        the longest token), unless the student's lies in the one event of tokens that the teacher does not know."""
        told, alignment = self.match.spanned, self.alignment
        sizes = [groups[groups >= 0].bincount(minlength=told.count) for groups in (told.groups, told.teacher_groups)]
        apart = torch.zeros_like(self.match.heard)
        apart[told.first] = (sizes[0] == 1) & (sizes[1] > 1)
        theirs, ours = alignment.event(self._firsts, False), alignment.event(self._targets, True)
        apart &= (ours >= 0) & (theirs >= 0) & ((ours == theirs) | (ours == alignment.bucket))
        return torch.where(apart, theirs, -1), torch.where(apart, ours, -1)

    def _rest_of_spans(self) -> Tensor:
        """(N,) log p of the teacher's tokens behind the first of each span that is taken apart."""
        told = self.match.spanned
        wanted = (self._places[0] >= 0)[told.first]  # (G,)
        later = (told.teacher_groups >= 0) & wanted[told.teacher_groups.clamp(min=0)]  # (M,)
        later[told.teacher_first] = False
        places = later.nonzero()[:, 0]
        rests = torch.zeros(self._targets.numel(), device=self._targets.device)
        if places.numel():
            logs = likelihood.of_tokens(told.teacher.at(places), told.teacher_targets[places])
            rests = rests.to(logs.dtype)
            rests[told.first] = likelihood.of_groups(logs, told.teacher_groups[places], told.count)
        return rests

    def more(self, rows: slice) -> tuple[Tensor, ...]:
        return tuple(part[rows] for part in (*self._places, self._targets, self._firsts, self._rests))

    def sides(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        teacher, _, place_p, place_q, targets, firsts, rests = chunk
        told_p, told_q = log_probabilities(teacher, temperature), log_probabilities(logits, temperature)
        (log_p, kept_p), (log_q, kept_q) = self.alignment.events(told_p, False), self.alignment.events(told_q, True)
        span_p = told_p.gather(1, firsts[:, None]) + rests[:, None] - kept_p  # (C, 1)
        span_q = told_q.gather(1, targets[:, None]) - kept_q
        return _apart(log_p, span_p, place_p), _apart(log_q, span_q, place_q)

    def answers(self, chunk: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        event = self.alignment.event(targets, True).clamp(min=0)
        return torch.where(chunk[2] >= 0, self.alignment.width, event)  # spans have the last column


def _apart(events: Tensor, span: Tensor, places: Tensor) -> Tensor:
    """Take a span out of its event into a column of its own: (C, E), (C, 1), (C,) -> (C, E + 1)."""
    apart, place = (places >= 0)[:, None], places.clamp(min=0)[:, None]
    whole = events.gather(1, place)  # (C, 1)
    inside = torch.where(apart, whole, 0.0)
    share = torch.where(apart, span - inside, -1.0).clamp(max=-WHOLE)  # log of the span's part of its event
    left = inside + torch.log(-torch.expm1(share))
    rest = events.scatter(1, place, torch.where(apart, left, whole))
    return torch.cat([rest, torch.where(apart, inside + share, -torch.inf)], 1)
