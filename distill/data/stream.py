"""The order in which training rows come: one endless stream, a pure function of (seed, index).

Formula: row i of the stream is order(seed, i // R)[i mod R], R rows in the training split. Global micro-step k of W
ranks with b rows each is rows [k W b, (k + 1) W b) of the stream; rank r takes the r-th b of them.

So the rows of an optimiser step depend neither on the workers nor on how the step is cut into micro-batches or ranks,
and the whole state of the data is one integer: the next micro-step.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler


@lru_cache(maxsize=4)
def order(seed: int, epoch: int, rows: int) -> np.ndarray:
    """(R,) a permutation of the rows. From raw 64-bit draws, which numpy never changes between versions."""
    draws = np.random.PCG64(np.random.SeedSequence([seed, epoch])).random_raw(rows)
    return np.argsort(draws, kind="stable")


class Stream(Sampler[list[int]]):
    """A batch sampler without an end.

    Args:
        rows: R, of the training split.
        batch: b, rows of a micro-batch on one rank.
        seed: of the order.
        start: the micro-step to begin at; a resumed run gives the one it had reached.
        rank, world_size: r and W.
    """

    def __init__(self, rows: int, batch: int, seed: int, start: int = 0, rank: int = 0, world_size: int = 1) -> None:
        self.rows, self.batch, self.seed = rows, batch, seed
        self.start, self.rank, self.world_size = start, rank, world_size

    def at(self, step: int) -> list[int]:
        """Row indices of micro-step ``step`` on this rank."""
        first = (step * self.world_size + self.rank) * self.batch
        places = (divmod(i, self.rows) for i in range(first, first + self.batch))
        return [int(order(self.seed, epoch, self.rows)[i]) for epoch, i in places]

    def __iter__(self) -> Iterator[list[int]]:
        step = self.start
        while True:
            yield self.at(step)
            step += 1
