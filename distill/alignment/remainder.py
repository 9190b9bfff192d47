"""Tokens that only one of two vocabularies knows, made comparable without saying which is which."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Remainder:
    """Mass of tokens without a counterpart: in one event, or by rank.

    Args:
        student, teacher: their ids.
        by_rank: match the likeliest with the likeliest; ranks that the shorter side does not have are one event with
            its last.
    """

    def __init__(self, student: Sequence[int], teacher: Sequence[int], by_rank: bool) -> None:
        self.ranks = max(1, min(len(student), len(teacher))) if by_rank else 1
        sides = {True: student, False: teacher}
        self._ids = {side: torch.tensor(list(ids), dtype=torch.int64) for side, ids in sides.items()}

    def to(self, device: torch.device) -> None:
        self._ids = {student: ids.to(device) for student, ids in self._ids.items()}

    def __call__(self, logs: Tensor, student: bool) -> Tensor:
        """(C, V) -> (C, R) logarithms; −inf where a side has no such token."""
        ids = self._ids[student]
        if not ids.numel():
            return logs.new_full((logs.shape[0], self.ranks), -torch.inf)
        mine = logs.index_select(1, ids)
        if self.ranks == 1:
            return mine.logsumexp(1, keepdim=True)
        ordered = mine.sort(dim=1, descending=True).values
        return torch.cat([ordered[:, : self.ranks - 1], ordered[:, self.ranks - 1 :].logsumexp(1, keepdim=True)], 1)
