"""Two vocabularies brought onto one set of events, and distributions over a vocabulary onto distributions over
events."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from distill.alignment.alignment import Spelling

EXCLUDED = -1


@dataclass(frozen=True)
class Partition:
    """Events of both vocabularies.

    Attributes:
        student, teacher: the event of each id; ``EXCLUDED`` for ids that mean nothing to the other side.
        count: how many events.
    """

    student: tuple[int, ...]
    teacher: tuple[int, ...]
    count: int


def by_prefix(student: Spelling, teacher: Spelling) -> Partition:
    """One event for every string that both vocabularies know: the text that comes has no longer one as its beginning.

    Formula: event of a token = the longest string of both vocabularies that it begins with

    A tokenizer that always takes the longest token it knows makes these events of the text, the same for both sides:
    what both can say about the next bytes, exactly. Equal strings fall to one event each, a string that only one side
    knows to the beginning of it that both know; beside a vocabulary of bytes it is the next byte. Tokens that begin
    with no shared string, and special tokens, are excluded.
    """
    shared = _shared(student, teacher)
    return Partition(_prefixes(student, shared), _prefixes(teacher, shared), len(shared))


def by_string(student: Spelling, teacher: Spelling) -> Partition:
    """One event for every string that both vocabularies know, as GOLD matches them; all other tokens are excluded."""
    shared = _shared(student, teacher)
    mine, theirs = (
        tuple(EXCLUDED if told is None else shared.get(told, EXCLUDED) for told in side) for side in (student, teacher)
    )
    return Partition(mine, theirs, len(shared))


def unmatched(spelling: Spelling, events: Sequence[int]) -> list[int]:
    """Ids that spell something and are in no event."""
    return [index for index, told in enumerate(spelling) if told is not None and events[index] == EXCLUDED]


def _shared(student: Spelling, teacher: Spelling) -> dict[bytes, int]:
    """Strings of both, numbered in the order of the student's ids."""
    theirs = set(teacher)
    told = dict.fromkeys(one for one in student if one and one in theirs)
    return {one: place for place, one in enumerate(told)}


def _prefixes(spelling: Spelling, shared: dict[bytes, int]) -> tuple[int, ...]:
    return tuple(_prefix(told, shared) for told in spelling)


def _prefix(told: bytes | None, shared: dict[bytes, int]) -> int:
    for length in range(len(told or b""), 0, -1):
        found = shared.get((told or b"")[:length])
        if found is not None:
            return found
    return EXCLUDED


class Coarsening:
    """log p over a vocabulary -> log p over events: the sum of the tokens of each, as logarithms.

    Args:
        events: the event of each id, ``EXCLUDED`` for none.
        count: how many events; one without an id has no mass.

    Events of one token are copied, exactly; the others are summed with their largest taken out, so that neither value
    nor gradient is lost where all of them are unlikely.
    """

    def __init__(self, events: Sequence[int], count: int) -> None:
        members: list[list[int]] = [[] for _ in range(count)]
        for index, event in enumerate(events):
            if event != EXCLUDED:
                members[event].append(index)
        several = [event for event, ids in enumerate(members) if len(ids) > 1]
        self.count = count
        self.identity = list(events) == list(range(count))
        self.excluding = sum(map(len, members)) < len(events)
        self._first = torch.tensor([ids[0] if ids else 0 for ids in members], dtype=torch.int64)  # (E,)
        self._empty = torch.tensor([not ids for ids in members], dtype=torch.bool)  # (E,)
        self._several = torch.tensor(several, dtype=torch.int64)  # (E',)
        self._ids = torch.tensor([index for event in several for index in members[event]], dtype=torch.int64)  # (W,)
        self._slots = torch.tensor([s for s, event in enumerate(several) for _ in members[event]], dtype=torch.int64)
        self.event = torch.tensor(list(events), dtype=torch.int64)  # (V,)

    @cached_property
    def any_empty(self) -> bool:
        return bool(self._empty.any())

    def to(self, device: torch.device) -> "Coarsening":
        for name in ("_first", "_empty", "_several", "_ids", "_slots", "event"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def __call__(self, logs: Tensor) -> Tensor:
        """(C, V) -> (C, E)."""
        if self.identity:
            return logs
        made = logs.index_select(1, self._first)
        if self.any_empty:
            made = made.masked_fill(self._empty, -torch.inf)
        if self._several.numel():
            made = made.index_copy(1, self._several, self._summed(logs.index_select(1, self._ids)))
        return made

    def _summed(self, logs: Tensor) -> Tensor:
        """(C, W) -> (C, E')."""
        places = self._slots.expand_as(logs)
        rows, width = logs.shape[0], self._several.numel()
        top = logs.new_full((rows, width), -torch.inf).scatter_reduce(1, places, logs.detach(), "amax")
        top = top.masked_fill(top == -torch.inf, 0.0)
        sums = logs.new_zeros(rows, width).index_add(1, self._slots, (logs - top.gather(1, places)).exp())
        impossible = sums == 0
        return torch.where(impossible, -torch.inf, torch.where(impossible, 1.0, sums).log() + top)
