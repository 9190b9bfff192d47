"""Where in a text a student is like its teacher: at the beginning, where little is known, or after a long one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from distill.evaluation.grouped import Grouped
from distill.evaluation.measure import Tokens
from distill.ranges import Count


class ByPlace(Grouped):
    """Likelihood and resemblance by the place of a token in its sample: 1, 2 to 3, 4 to 7, 8 to 15, …

    Formula: the group of the k-th supervised token, k from 1, is ⌊log2 k⌋, the last one open
    Source: Khandelwal et al. 2018, Sharp Nearby, Fuzzy Far Away, https://arxiv.org/abs/1805.04623 (how much of what
        came before a model uses).

    Args:
        groups: the last begins at place 2^(groups − 1).
        top: likeliest tokens of the teacher whose overlap and order are compared.

    Caveat: place counts supervised tokens of a sample, which is a piece of a document where that was cut.
    """

    prefix = "by_place"

    def __init__(self, groups: Count = 9, top: Count = 10) -> None:
        super().__init__()
        self.groups, self.top = groups, top

    @property
    def names(self) -> Sequence[str]:
        begins = [2**group for group in range(self.groups)]
        ends = [f"-{2 * begin - 1:04d}" if begin > 1 else "" for begin in begins[:-1]]
        return [f"{begin:04d}{end}" for begin, end in zip(begins, [*ends, "-"], strict=True)]

    def group(self, tokens: Tokens) -> Tensor:
        assert tokens.places is not None, "an evaluation counts the places of its tokens"
        bounds = torch.tensor([2**group for group in range(1, self.groups)], device=tokens.places.device)
        return torch.bucketize(tokens.places + 1, bounds, right=True)  # exact, where log2 would round
