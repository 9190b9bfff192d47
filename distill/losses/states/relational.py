"""Relational distillation: not where states are, but how they lie to each other. Widths need not agree."""

import torch
from torch import Tensor
from torch.nn import functional

from distill.losses.quantity import Quantity
from distill.losses.states.compared import directions
from distill.losses.states.groups import Groups, Within
from distill.losses.states.layered import Layered, StateMap
from distill.ranges import Count
from distill.types import Batch


class RelationalDistance(Layered):
    """How far tokens lie from each other, in units of their mean distance.

    Formula: Σ_pairs mean over other tokens j of huber(ψ_student(i, j) − ψ_teacher(i, j)), ψ = ‖h_i − h_j‖ / its mean
    Source: Park, Kim, Lu, Cho (2019). Relational Knowledge Distillation. arXiv:1904.05068

    Args:
        weight: in the objective's total.
        layers: which answer to which; the paper compares final states.
        within: which tokens are compared: of one sample, or of a micro-batch, whose value then depends on its size.

    The mean is over different tokens, as in the authors' code. A sample of one token has nothing to compare: 0.
    """

    unit = "1/token"

    def __init__(self, weight: float | Quantity = 1.0, layers: StateMap = "final", within: Within = "sample") -> None:
        super().__init__(weight, layers)
        self.within = within

    def between(self, student: Tensor, teacher: Tensor, batch: Batch, pair: int) -> Tensor:
        groups = Groups.of(batch.owners, self.within)
        others = groups.pairs  # (M, G, G)
        gap = huber(_distances(groups.laid(student), others) - _distances(groups.laid(teacher), others))
        return groups.taken(_mean(gap, others, -1))


class RelationalAngle(Layered):
    """Which angles neighbouring tokens span, seen from each token.

    Formula: Σ_pairs mean over i ≠ k near j of huber(cos_student ∠ijk − cos_teacher ∠ijk)
    Source: Park, Kim, Lu, Cho (2019). Relational Knowledge Distillation. arXiv:1904.05068

    Args:
        weight: in the objective's total.
        layers: which answer to which; the paper compares final states.
        window: i and k stand at most so many tokens from j. The paper takes all triplets of a batch of pictures; the
            triplets of a text grow with its third power.
        within: of one sample, or also across samples that follow each other in a micro-batch.
    """

    unit = "1/token"

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        layers: StateMap = "final",
        window: Count = 8,
        within: Within = "sample",
    ) -> None:
        super().__init__(weight, layers)
        self.window, self.within = window, within

    def between(self, student: Tensor, teacher: Tensor, batch: Batch, pair: int) -> Tensor:
        owners = torch.zeros_like(batch.owners) if self.within == "batch" else batch.owners
        near, there = neighbours(owners, self.window)  # (N, 2 window) both
        others = (
            there[:, :, None] & there[:, None, :] & ~torch.eye(there.shape[1], dtype=torch.bool, device=near.device)
        )
        gap = huber(_cosines(student, near, there) - _cosines(teacher, near, there))  # (N, 2 window, 2 window)
        return _mean(gap.flatten(1), others.flatten(1), -1)


def huber(gap: Tensor) -> Tensor:
    """Half the square within 1, linear beyond."""
    return functional.smooth_l1_loss(gap, torch.zeros_like(gap), reduction="none")


def neighbours(owners: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """For each token those up to ``window`` before and behind it: (N, 2 window) indices, and whether each is there and
    of the same owner."""
    steps = torch.arange(1, window + 1, device=owners.device)
    wanted = torch.arange(len(owners), device=owners.device)[:, None] + torch.cat([-steps, steps])
    near = wanted.clamp(0, max(len(owners) - 1, 0))
    return near, (near == wanted) & (owners[near] == owners[:, None])


def _distances(states: Tensor, others: Tensor) -> Tensor:
    """(M, G, D) -> (M, G, G) in units of each group's mean; where all tokens are one point, 0."""
    # exact differences: by products, near tokens would lie at the rounding error of far ones
    distances = torch.cdist(states, states, compute_mode="donot_use_mm_for_euclid_dist")
    distances = distances.masked_fill(~others, 0.0)
    mean = _mean(distances.flatten(1), others.flatten(1), -1)[:, None, None]
    return distances / torch.where(mean == 0, 1.0, mean)


def _cosines(states: Tensor, near: Tensor, there: Tensor) -> Tensor:
    """(N, D) -> (N, W, W): cosines between the directions from each token to its neighbours, 0 where none is."""
    away = (states[near] - states[:, None]).masked_fill(~there[..., None], 0.0)  # (N, W, D)
    towards = directions(away)
    return towards @ towards.transpose(-1, -2)


def _mean(values: Tensor, counted: Tensor, dim: int) -> Tensor:
    """Over what is counted; 0 where nothing is."""
    return values.masked_fill(~counted, 0.0).sum(dim) / counted.sum(dim).clamp(min=1)
