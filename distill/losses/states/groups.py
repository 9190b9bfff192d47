"""Tokens that are compared with each other, laid out side by side: those of a sample, or of the whole micro-batch.

A sample is never cut by a micro-batch, so a loss within samples does not depend on how a batch is cut. A loss over a
whole micro-batch does, however it is averaged; it is offered, and says so.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Within = Literal["sample", "batch"]


@dataclass(frozen=True)
class Groups:
    """N tokens in M groups of at most G.

    Attributes:
        group: (N,) int64, whose token it is.
        place: (N,) int64, its place in the group.
        filled: (M, G) bool, where a token stands.
    """

    group: Tensor
    place: Tensor
    filled: Tensor

    @classmethod
    def of(cls, owners: Tensor, within: str) -> "Groups":
        """Tokens of one owner stand together, in order."""
        owners = torch.zeros_like(owners) if within == "batch" else owners
        _, group, sizes = torch.unique_consecutive(owners, return_inverse=True, return_counts=True)
        starts = sizes.cumsum(0) - sizes
        place = torch.arange(len(owners), device=owners.device) - starts[group]
        filled = torch.arange(int(sizes.max()) if len(sizes) else 0, device=owners.device) < sizes[:, None]
        return cls(group, place, filled)

    @property
    def pairs(self) -> Tensor:
        """(M, G, G) bool: two different tokens of a group."""
        both = self.filled[:, :, None] & self.filled[:, None, :]
        return both & ~torch.eye(self.filled.shape[1], dtype=torch.bool, device=both.device)

    def laid(self, states: Tensor) -> Tensor:
        """(N, D) -> (M, G, D), 0 where no token stands."""
        room = states.new_zeros(*self.filled.shape, states.shape[-1])
        return room.index_put((self.group, self.place), states)

    def taken(self, values: Tensor) -> Tensor:
        """(M, G) -> (N,)."""
        return values[self.group, self.place]
