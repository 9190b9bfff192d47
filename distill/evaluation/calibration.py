"""Whether a model is right as often as it says it is."""

import math

import torch

from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.measure import Measured, TokenMeasure, Tokens
from distill.ranges import Count


class Calibration(TokenMeasure):
    """Expected calibration error of the likeliest token, with its reliability bins, and top-1 accuracy.

    Formula: ece = Σ_b n_b / n · |accuracy_b − confidence_b|, over ``bins`` bins of equal width of max q
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599, equation 3.

    Args:
        bins: 15 in the paper. A bin holds its lower edge, and the last one both (in the paper: its upper edge).

    Caveat: of the likeliest token only. The estimate is biased upwards where bins hold few tokens, so it has no
    interval here. An empty bin has a share of 0, and neither accuracy nor confidence.
    """

    def __init__(self, bins: Count = 15) -> None:
        self.bins = bins
        self.accuracy = SampleMean()
        self.sums = torch.zeros(3, bins, dtype=torch.float64)  # tokens, confidence, right

    def update(self, tokens: Tokens) -> None:
        log_confidence, ids = tokens.top
        confidence, right = log_confidence.double().exp().cpu(), (ids == tokens.targets).double().cpu()
        self.accuracy.add(right, tokens.drawn)
        place = (confidence * self.bins).long().clamp(0, self.bins - 1)
        self.sums.index_add_(1, place, torch.stack([torch.ones_like(right), confidence, right]))

    def rows(self) -> list[Measured]:
        counts, confidence, right = self.sums.tolist()
        n = self.accuracy.n
        gaps = sum(abs(r - c) for r, c in zip(right, confidence, strict=True))
        rows = [
            Measured("accuracy_top1", self.accuracy.value, "fraction", n, *self.accuracy.interval()),
            Measured("ece", gaps / n if n else math.nan, "fraction", n),
        ]
        for b, (count, sure, hits) in enumerate(zip(counts, confidence, right, strict=True), start=1):
            name = f"reliability/{b:02d}"
            rows.append(Measured(f"{name}/share", count / n if n else math.nan, "fraction", n))
            if count:
                rows.append(Measured(f"{name}/confidence", sure / count, "fraction", int(count)))
                rows.append(Measured(f"{name}/accuracy", hits / count, "fraction", int(count)))
        return rows
