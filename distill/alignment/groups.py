"""Which tokens of two tokenizers cover the same bytes.

A group is the shortest run of the student's tokens and the shortest run of the teacher's that begin at the same byte
and end at the same byte of a sample's text. Within it the two tokenisations never meet. Groups follow from places
alone, so they hold for any two tokenizers and any template before the text.
"""

import torch
from torch import Tensor

from distill.data.spelling import NOWHERE
from distill.types import Batch, Signal, Spanned


def spanned(signal: Signal, batch: Batch) -> Spanned:
    """The groups of a batch.

    Args:
        signal: what the teacher said at its own M tokens.
        batch: with ``spans``.
    """
    spans = batch.spans
    assert spans is not None, "a batch without the teacher's tokens"
    ours, theirs = groups(
        (batch.owners, spans.starts, spans.ends), (spans.teacher_owners, spans.teacher_starts, spans.teacher_ends)
    )
    ours, theirs, count = _numbered(ours, theirs)
    return Spanned(ours, theirs, count, _firsts(ours, count), signal, _firsts(theirs, count), spans.teacher_targets)


def token_by_token(signal: Signal, batch: Batch) -> Spanned:
    """Of equal tokenizers: every token is a group."""
    each = torch.arange(batch.tokens, device=batch.targets.device)
    return Spanned(each, each, batch.tokens, each, signal, each, batch.targets)


def groups(student: tuple[Tensor, Tensor, Tensor], teacher: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The group of every token, -1 for those in none.

    Formula: with B the bytes at which a token of each side begins or ends, sorted, a token is in group
        g = |{b in B: b < end}| − 1, if B goes on behind b_g within the same sample

    Args:
        student: (owners, starts, ends), each (N,) int64, in the order of the text; ``NOWHERE`` is inside a character.
        teacher: the same, each (M,).

    Returns:
        (N,) and (M,) int64. Numbers rise along the text and are the same on both sides; some may be left out.

    A token that spells nothing goes to the group that ends before it.
    """
    stride = 2 + max(int(places.max()) if places.numel() else 0 for _, *both in (student, teacher) for places in both)
    ours, theirs = (_keys(*side, stride) for side in (student, teacher))
    both = ours[0][torch.isin(ours[0], theirs[0])].unique()  # (B,) sorted
    return _group(student[0], ours[1], both, stride), _group(teacher[0], theirs[1], both, stride)


def _keys(owners: Tensor, starts: Tensor, ends: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """(places where the side can be met, (N,) the place at which each token ends or the next that is known)."""
    begin, end = (torch.where(places == NOWHERE, NOWHERE, owners * stride + places) for places in (starts, ends))
    met = torch.cat([begin, end])
    later = torch.where(end == NOWHERE, torch.iinfo(torch.int64).max, end)
    return met[met != NOWHERE], later.flip(0).cummin(0).values.flip(0) if later.numel() else later


def _group(owners: Tensor, ends: Tensor, both: Tensor, stride: int) -> Tensor:
    """(N,) -> (N,). An end that is not known may have been taken from the next sample: hence the owners."""
    if both.numel() < 2:
        return torch.full_like(ends, -1)
    group = torch.searchsorted(both, ends) - 1
    known = group.clamp(0, both.numel() - 2)
    owner = torch.div(both, stride, rounding_mode="floor")  # (B,)
    inside = (group >= 0) & (ends <= both[-1]) & (owner[known] == owners) & (owner[known + 1] == owners)
    return torch.where(inside, group, -1)


def _numbered(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor, int]:
    """Groups that have tokens on both sides, numbered from 0 without gaps."""
    kept = ours[torch.isin(ours, theirs) & (ours >= 0)].unique()
    if not kept.numel():
        return torch.full_like(ours, -1), torch.full_like(theirs, -1), 0

    def number(group: Tensor) -> Tensor:
        place = torch.searchsorted(kept, group).clamp(max=kept.numel() - 1)
        return torch.where(kept[place] == group, place, -1)

    return number(ours), number(theirs), kept.numel()


def _firsts(group: Tensor, count: int) -> Tensor:
    """(G,) the first token of each group."""
    places = torch.arange(group.numel(), device=group.device)
    first = torch.full((count + 1,), group.numel(), device=group.device)
    first.scatter_reduce_(0, torch.where(group < 0, count, group), places, "amin")
    return first[:count]
