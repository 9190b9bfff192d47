"""Whether two sets of states have the same geometry, up to rotation and scale."""

import torch
from torch import Tensor

from distill.losses.quantity import Quantity
from distill.losses.states.groups import Groups, Within
from distill.losses.states.layered import Layered, StateMap
from distill.types import Batch


class KernelAlignment(Layered):
    """One minus the linear centred kernel alignment (CKA) of the tokens' states; widths need not agree.

    Formula: Σ_pairs 1 − ‖Yᵀ X‖²_F / (‖Xᵀ X‖_F ‖Yᵀ Y‖_F), X student, Y teacher, columns centred
    Source: Kornblith et al. (2019). Similarity of Neural Network Representations Revisited. arXiv:1905.00414

    A number of a sample, given to each of its tokens. A sample whose states do not differ (of one token, for one) has
    no geometry: 0.

    Args:
        weight: in the objective's total.
        layers: which answer to which.
        within: the tokens of one sample, or of a micro-batch, whose value then depends on its size.

    With fewer tokens than dimensions CKA is biased upwards: of random states it is not 0.
    """

    unit = "1/token"

    def __init__(self, weight: float | Quantity = 1.0, layers: StateMap = "uniform", within: Within = "sample") -> None:
        super().__init__(weight, layers)
        self.within = within

    def between(self, student: Tensor, teacher: Tensor, batch: Batch, pair: int) -> Tensor:
        groups = Groups.of(batch.owners, self.within)
        own, told = _gram(groups, student), _gram(groups, teacher)  # (M, G, G)
        both = (own * told).sum((1, 2))
        size = own.square().sum((1, 2)) * told.square().sum((1, 2))  # (M,)
        flat = size == 0
        # the root of a 0 that is not looked at would still have an infinite gradient
        alike = both / torch.where(flat, 1.0, size).sqrt()
        value = torch.where(flat, 0.0, 1 - alike)  # (M,)
        return value[groups.group]


def _gram(groups: Groups, states: Tensor) -> Tensor:
    """(N, D) -> (M, G, G) inner products of centred states, scaled to length 1 in all so that no square overflows; 0
    if the states do not differ."""
    laid = groups.laid(states)
    count = groups.filled.sum(1)[:, None, None]
    centred = (laid - laid.sum(1, keepdim=True) / count).masked_fill(~groups.filled[..., None], 0.0)
    size, whole = (part.detach().square().sum((1, 2), keepdim=True) for part in (centred, laid))
    flat = size <= whole * (16 * torch.finfo(laid.dtype).eps) ** 2  # what is left is the rounding of the mean
    unit = torch.where(flat, 0.0, centred / torch.where(flat, 1.0, size).sqrt())
    return unit @ unit.transpose(-1, -2)
