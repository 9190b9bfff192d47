"""The measures of a text once more for each domain: where its documents are from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from distill.evaluation.grouped import Grouped
from distill.evaluation.measure import Measured, Tokens
from distill.ranges import Count


class ByDomain(Grouped):
    """Likelihood and agreement of the tokens of each domain; left out where there is but one.

    Args:
        top: likeliest tokens of the teacher that are compared.
    """

    prefix = "domain"

    def __init__(self, top: Count = 10) -> None:
        super().__init__()
        self.top = top
        self._names: dict[str, int] = {}

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._names)

    def group(self, tokens: Tokens) -> Tensor:
        numbers = [self._names.setdefault(name, len(self._names)) for name in tokens.domains]
        return torch.tensor(numbers, device=tokens.targets.device)

    def update(self, tokens: Tokens) -> None:
        if tokens.domains:
            super().update(tokens)

    def rows(self) -> list[Measured]:
        return super().rows() if len(self._names) > 1 else []
