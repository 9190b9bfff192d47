"""A mean over tokens and how sure it is.

Tokens of one document are not independent, so the bootstrap draws whole documents (``Tokens.drawn``): each resample is
S of them with replacement, its mean the sum of their values over the count of their tokens. Where the data does not
say which sample belongs to which document, it draws samples.

Formula: interval = 2.5 % and 97.5 % quantiles over resamples of Σ values / Σ tokens
Source: Efron (1979), bootstrap methods, https://doi.org/10.1214/aos/1176344552; drawn by clusters as in Field and
Welsh (2007), https://doi.org/10.1111/j.1467-9868.2007.00593.x.

Caveat: of few documents the interval is too narrow, as any bootstrap's. It says nothing of another seed of a training,
or of another text.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

RESAMPLES = 1000
SEED = 20_240_901
"""Of the resampling, the same in every run: intervals are reproducible and do not depend on the run's seed."""


class SampleMean:
    """A mean per token, kept as one sum and one count for each document."""

    def __init__(self) -> None:
        self.sums = torch.zeros(2, 0, dtype=torch.float64)  # (2, S) of values, of tokens

    def add(self, values: Tensor, owners: Tensor) -> None:
        """
        Args:
            values: (C,) one a token.
            owners: (C,) int64 the document of each.
        """
        if not values.numel():
            return
        values, owners = values.detach().double().cpu(), owners.cpu()
        if (beyond := int(owners.max()) + 1 - self.sums.shape[1]) > 0:
            spare = max(beyond, self.sums.shape[1])  # doubled, so that growing costs nothing on the whole
            self.sums = torch.cat([self.sums, torch.zeros(2, spare, dtype=torch.float64)], dim=1)
        self.sums.index_add_(1, owners, torch.stack([values, torch.ones_like(values)]))

    @property
    def owners(self) -> int:
        """S, documents seen."""
        return int((self.sums[1] > 0).sum())

    @property
    def n(self) -> int:
        """Tokens seen."""
        return int(self.sums[1].sum())

    @property
    def value(self) -> float:
        """NaN if no token was seen."""
        total, count = self.sums.sum(1).tolist()
        return total / count if count else float("nan")

    def interval(self, resamples: int = RESAMPLES, seed: int = SEED) -> tuple[float, float] | tuple[None, None]:
        """(low, high) of 95 %; none of fewer than two documents."""
        sums, counts = self.sums[:, self.sums[1] > 0].numpy()
        if len(sums) < 2 or not np.isfinite(sums).all():
            return None, None
        return resampled(len(sums), lambda drawn: sums[drawn].sum() / counts[drawn].sum(), resamples, seed)


def resampled(
    size: int, statistic: Callable[[np.ndarray], float], resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float] | tuple[None, None]:
    """(low, high) of 95 % of any statistic of whole samples; none of fewer than two.

    Args:
        size: S, how many samples there are.
        statistic: of the (S,) numbers of the drawn ones, some of them drawn more than once.
        resamples: how often they are drawn.
        seed: of the draws.
    """
    if size < 2:
        return None, None
    draws = np.random.default_rng(seed)
    found = [statistic(draws.integers(0, size, size)) for _ in range(resamples)]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
