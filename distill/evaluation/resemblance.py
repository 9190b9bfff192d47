"""How alike two distributions are beyond their likeliest token: a bounded divergence, and the order of the next."""

from typing import ClassVar

from torch import Tensor

from distill.divergences.jensen_shannon import jensen_shannon
from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.measure import Measured, TokenMeasure, Tokens
from distill.ranges import Count


class Resemblance(TokenMeasure):
    """Jensen-Shannon divergence from the teacher, and rank correlation over the teacher's likeliest tokens.

    Formula: jsd_to_teacher = mean ½ KL(p ‖ m) + ½ KL(q ‖ m), m = (p + q) / 2; rank_correlation_to_teacher = mean
        over tokens of Spearman's ρ between p and q over the ``top`` likeliest of p; top{k}_overlap_to_teacher = mean
        share of the ``top`` likeliest of p that are among those of q
    Source: Lin 1991, Divergence Measures Based on the Shannon Entropy, https://doi.org/10.1109/18.61115; Spearman
        1904, https://doi.org/10.2307/1412159.

    Args:
        top: tokens whose order is compared; at least 2 for an order.

    Caveat: where the vocabulary has fewer, all of it. Equal probabilities are ranked by their ids on both sides.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(self, top: Count = 10) -> None:
        self.top = top
        self.apart, self.order, self.shared = SampleMean(), SampleMean(), SampleMean()

    def update(self, tokens: Tokens) -> None:
        log_p, log_q = tokens.log_p, tokens.log_q
        assert log_p is not None
        count = min(self.top, log_p.shape[-1])
        best = log_p.topk(count, dim=-1).indices  # (C, K)
        theirs = log_q.topk(count, dim=-1).indices  # (C, K)
        self.apart.add(jensen_shannon(log_p, log_q, 0.5), tokens.drawn)
        self.shared.add((best[:, :, None] == theirs[:, None, :]).any(-1).double().mean(-1), tokens.drawn)
        if count > 1:
            self.order.add(spearman(log_p.gather(1, best), log_q.gather(1, best)), tokens.drawn)

    def rows(self) -> list[Measured]:
        return [
            Measured(metric, mean.value, unit, mean.n, *mean.interval())
            for metric, mean, unit in (
                ("jsd_to_teacher", self.apart, "nats/token"),
                ("rank_correlation_to_teacher", self.order, "fraction"),
                (f"top{self.top}_overlap_to_teacher", self.shared, "fraction"),
            )
        ]


def spearman(first: Tensor, second: Tensor) -> Tensor:
    """(C, K), (C, K) -> (C,): 1 − 6 Σ d² / (K (K² − 1)) of the differences of ranks."""
    ranks = [one.argsort(dim=-1, stable=True).argsort(dim=-1).double() for one in (first, second)]
    count = first.shape[-1]
    return 1 - 6 * (ranks[0] - ranks[1]).square().sum(-1) / (count * (count**2 - 1))
