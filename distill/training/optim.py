"""The optimiser and its schedule, made late, from the parameters of a finished module."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from distill.errors import BadInput
from distill.ranges import Fraction, Natural, NonNegative, Positive


class Optim(ABC):
    """A recipe for an optimiser and the schedule of its learning rate."""

    @abstractmethod
    def build(
        self, parameters: Iterable[tuple[str, nn.Parameter]], steps: int
    ) -> tuple[torch.optim.Optimizer, LambdaLR]:
        """The optimiser over all parameters that want a gradient, and a schedule over ``steps`` steps."""


class AdamW(Optim):
    """Adam with decoupled weight decay on matrices only, linear warm-up, then the chosen decay.

    Formula: w ← w − lr·(m̂ / (√v̂ + ε) + λ·w)

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101

    Args:
        learning_rate: peak.
        weight_decay: λ, for tensors of two or more dimensions; norms and biases are left free.
        beta1, beta2: of the two moving averages.
        warmup: steps of linear rise from 0.
        schedule: what follows the warm-up.
        floor: the learning rate at the last step, as a fraction of the peak.
    """

    def __init__(
        self,
        learning_rate: Positive = 1e-3,
        weight_decay: NonNegative = 0.01,
        beta1: Fraction = 0.9,
        beta2: Fraction = 0.95,
        warmup: Natural = 0,
        schedule: Literal["constant", "linear", "cosine"] = "cosine",
        floor: Fraction = 0.1,
    ) -> None:
        self.learning_rate, self.weight_decay, self.betas = learning_rate, weight_decay, (beta1, beta2)
        self.warmup, self.schedule, self.floor = warmup, schedule, floor

    def build(
        self, parameters: Iterable[tuple[str, nn.Parameter]], steps: int
    ) -> tuple[torch.optim.Optimizer, LambdaLR]:
        trained = [parameter for _, parameter in parameters if parameter.requires_grad]
        if not trained:
            raise BadInput("student", "no parameter wants a gradient", remedy="unfreeze some of it")
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=self.learning_rate,
            betas=self.betas,
            fused=True,
        )
        return optimizer, LambdaLR(optimizer, lambda step: self.factor(step, steps))

    def factor(self, step: int, steps: int) -> float:
        """What the peak learning rate is multiplied by at ``step`` of ``steps``."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        done = min((step - self.warmup) / max(steps - self.warmup, 1), 1.0)
        falling = {"constant": 1.0, "linear": 1.0 - done, "cosine": 0.5 * (1.0 + math.cos(math.pi * done))}
        return (
            falling[self.schedule]
            if self.schedule == "constant"
            else self.floor + (1 - self.floor) * falling[self.schedule]
        )
