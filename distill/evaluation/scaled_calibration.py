"""How well calibrated a model is, told three more ways, and how much of the fault a single temperature repairs."""

import math

import torch
from torch import Tensor

from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.measure import Measured, TokenMeasure, Tokens
from distill.ranges import Count, Positive


class ScaledCalibration(TokenMeasure):
    """Brier score, calibration error over bins of equal counts, and what both become at the best temperature.

    Formula: brier = mean Σ_v (q_v − [v = y])²; adaptive_ece = Σ_b 1 / B · |accuracy_b − confidence_b| over ``bins``
        bins of equal counts; calibration_temperature = argmin_T NLL of softmax(z / T) on the documents of even number,
        and *_scaled are measured at it on those of odd number; there nats_per_token = nats_refinement +
        nats_calibration, the first what is left at the best temperature, the second what that repairs
    Source: Brier 1950, https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; Nguyen and O'Connor 2015,
        https://arxiv.org/abs/1508.05154 (equal counts); Guo et al. 2017, https://arxiv.org/abs/1706.04599, section
        4.2 (temperature scaling); Bröcker 2009, https://doi.org/10.1002/qj.456 (a proper score is refinement and
        reliability), with the temperature as the only recalibration, as in Berta et al. 2025,
        https://arxiv.org/abs/2501.19195.

    Args:
        bins: of equal counts.
        lowest, highest, temperatures: a grid of equal ratios, of which the best is taken.

    Caveat: the paper fits T on validation data; here one half of the test documents fits it and the other is measured,
    so ``*_scaled`` are of half as many tokens. ``nats_calibration`` is below 0 where the T of one half does not help
    the other. A T at an end of the grid says that the best lies beyond. Holds two
    numbers a token and temperature: 20 MB for 100,000 tokens at 25 temperatures.
    """

    def __init__(
        self, bins: Count = 15, lowest: Positive = 0.5, highest: Positive = 2.0, temperatures: Count = 25
    ) -> None:
        self.bins = bins
        self.grid = torch.logspace(math.log10(lowest), math.log10(highest), temperatures, dtype=torch.float64)
        self.brier = SampleMean()
        self.seen: list[tuple[Tensor, Tensor, Tensor]] = []  # (C, 3) confidence, right, nats; (C, T, 2); (C,) documents

    def update(self, tokens: Tokens) -> None:
        log_q, targets = tokens.log_q, tokens.targets
        right = tokens.top[1] == targets  # no temperature changes which is likeliest
        told = log_q.gather(1, targets[:, None])[:, 0].exp()
        self.brier.add(log_q.exp().square().sum(-1) - 2 * told + 1, tokens.drawn)
        scaled = torch.stack([_at(log_q, targets, float(one)) for one in self.grid], dim=1)  # (C, T, 2)
        plain = torch.stack([tokens.top[0].exp(), right.to(log_q.dtype), tokens.nats], dim=1)
        self.seen.append((plain.double().cpu(), scaled.float().cpu(), tokens.drawn.cpu()))

    def rows(self) -> list[Measured]:
        if not self.seen:
            return []
        plain, scaled, owners = (torch.cat(parts) for parts in zip(*self.seen, strict=True))
        rows = [
            Measured("brier", self.brier.value, "fraction", self.brier.n, *self.brier.interval()),
            Measured("adaptive_ece", _adaptive(plain[:, 0], plain[:, 1], self.bins), "fraction", len(plain)),
        ]
        fits, measured = owners % 2 == 0, owners % 2 == 1
        if not fits.any() or not measured.any():
            return rows
        best = int(scaled[fits, :, 0].double().mean(0).argmin())
        nats, confidence = scaled[measured, best].double().unbind(-1)
        error, n = _adaptive(confidence, plain[measured, 1], self.bins), int(measured.sum())
        repaired = SampleMean()
        repaired.add(plain[measured, 2] - nats, owners[measured])
        return [
            *rows,
            Measured("calibration_temperature", float(self.grid[best]), "count", int(fits.sum())),
            Measured("adaptive_ece_scaled", error, "fraction", n),
            Measured("nats_per_token_scaled", float(nats.mean()), "nats/token", n),
            Measured("nats_refinement", float(nats.mean()), "nats/token", n),
            Measured("nats_calibration", repaired.value, "nats/token", n, *repaired.interval()),
        ]


def _at(log_q: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """(C, 2) −log q of the targets, and the likeliest token's probability, at a temperature."""
    softened = (log_q / temperature).log_softmax(-1)
    return torch.stack([-softened.gather(1, targets[:, None])[:, 0], softened.amax(-1).exp()], dim=1)


def _adaptive(confidence: Tensor, right: Tensor, bins: int) -> float:
    """Over bins of equal counts (they differ by one where the tokens do not divide)."""
    order = confidence.argsort(stable=True)
    parts = zip(confidence[order].tensor_split(bins), right[order].tensor_split(bins), strict=True)
    return sum(abs(float((hits - sure).sum())) for sure, hits in parts) / len(confidence)
