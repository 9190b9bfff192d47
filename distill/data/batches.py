"""A split as a finite, fixed list of batches: for validation, for measures, for a teacher that is asked once."""

from collections.abc import Callable, Sequence
from typing import Any, overload

from distill.types import Batch


class Batches(Sequence[Batch]):
    """Rows in their order, ``size`` at a time, the last batch smaller; each is made when it is asked for.

    Args:
        rows: of the split.
        collate: makes the batch.
        size: rows of a batch.
        rank, world_size: batches rank, rank + world_size, … are this device's.
    """

    def __init__(
        self,
        rows: Sequence[Any],
        collate: Callable[[Sequence[Any]], Batch],
        size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.rows, self.collate, self.size = rows, collate, size
        self.firsts = range(0, len(rows), size)[rank::world_size]

    def __len__(self) -> int:
        return len(self.firsts)

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Batch]: ...
    def __getitem__(self, index: int | slice) -> Batch | list[Batch]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        first = self.firsts[index]
        return self.collate([self.rows[i] for i in range(first, min(first + self.size, len(self.rows)))])
