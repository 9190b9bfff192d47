"""Numbers that are learned with the student: a temperature that works against it, a weight that knows its noise."""

import math

import torch
from torch import Tensor, nn

from distill.losses.quantity import Quantity
from distill.ranges import Positive, Share
from distill.types import Moment


class CurriculumTemperature(Quantity):
    """CTKD: a temperature learned to make the student's task harder, ever more so.

    Formula: T = lowest + span · sigmoid(w), min over the student and max over w, by a gradient on w times −λ
    Source: Li et al. (2023). Curriculum Temperature for Knowledge Distillation. arXiv:2211.16231

    λ rises from 0 to 1 along half a cosine wave over the first part of the training, then stays.

    Args:
        lowest: T for w = −∞; the paper's 1.
        span: the paper's 20.
        over: the share of the training in which λ rises.

    In the authors' code the sign of the reversal stands in a command-line flag whose default learns nothing, and
    TAID's re-implementation of it descends where the paper ascends; here the reversal is part of the number.
    """

    def __init__(self, lowest: Positive = 1.0, span: Positive = 20.0, over: Share = 0.5) -> None:
        super().__init__()
        self.lowest, self.span, self.over = lowest, span, over
        self.position = nn.Parameter(torch.ones(()))  # w, the authors' initial value
        self._strength = torch.zeros((), dtype=torch.float64)  # λ

    def settle(self, moment: Moment) -> None:
        share = min(moment.progress / self.over, 1.0)
        self._strength.fill_((1 - math.cos(math.pi * share)) / 2)

    def forward(self) -> Tensor:
        against = -self._strength.to(self.position)
        # the same value; its derivative is −λ: the detached part carries what the other part took away
        position = against * self.position + ((1 - against) * self.position).detach()
        return self.lowest + self.span * torch.sigmoid(position)

    def formula(self) -> str:
        return f"({self.lowest:g} + {self.span:g} sigmoid(w), learned against the student)"


class Uncertainty(Quantity):
    """Uncertainty weighting: a weight learned from how noisy its term is, with the price of ignoring it.

    Formula: exp(−s) · term + s / 2 per token, s learned
    Source: Kendall, Gal, Cipolla (2018). Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
        Semantics. arXiv:1705.07115

    Args:
        initial: the weight at the start, exp(−s).

    At rest the weight is 1 / (2 · term), the term in nats per token: every such term pulls alike. The total then
    holds s / 2 beside the weighted terms; the printed formula says so.
    """

    def __init__(self, initial: Positive = 1.0) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.tensor(-math.log(initial)))  # s

    def forward(self) -> Tensor:
        return (-self.log_variance).exp()

    def penalty(self) -> Tensor:
        return self.log_variance / 2

    def formula(self) -> str:
        return "(exp(−s), learned, at the price of s/2)"
