"""Weights that make terms pull alike: measured every so many steps, by the terms' own gradients on the student.

What is measured is the whole step's, over all micro-batches and ranks, so neither cutting a batch nor the number of
ranks changes a weight. A weight that was measured in one step is in force from the next, and is logged in every one.

Left out on purpose: learning the weights by a gradient of their own (the fixed point is known, and taken), the
gradient on one chosen layer only, and students whose parameters are sharded over devices, where no rank holds a whole
gradient.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from distill.errors import BadInput
from distill.losses.objective import Objective
from distill.losses.pull import Pull, Seen, pull
from distill.losses.quantity import Quantity, number
from distill.ranges import Count, Fraction, NonNegative, Positive


class Balanced(Quantity):
    """A weight that makes its term pull at the student as hard as the others do.

    Formula: w ← momentum · w + (1 − momentum) · s P / ‖g‖, g = ∂ term / ∂ student, P the mean pull w_j ‖g_j‖ of the
        terms with other weights, or of all if every weight is balanced; s = r^α over its mean, r = term / its first
        value
    Source: Chen, Badrinarayanan, Lee, Rabinovich (2018). GradNorm: Gradient Normalization for Adaptive Loss Balancing
        in Deep Multitask Networks. arXiv:1711.02257

    With α = 0 all terms pull alike, whatever their values do. With α > 0 a balanced term that has fallen less than the
    other balanced ones pulls harder.

    Args:
        asymmetry: α; 0 is the rule of equal norms. The paper's 1.5 and 0.12.
        every: optimiser steps between two measurements, the first step's included; one costs a backward pass and the
            memory of a gradient for each term that has a weight.
        momentum: how much of the weight in force stays at a measurement.
        initial: the weight until the first.

    The authors take one step of gradient descent on Σ |w_i ‖g_i‖ − s_i P| a step, P and s held fixed; here its
    solution is taken at once. They then divide the weights so that their sum is the number of terms; here nothing is
    divided: the mean pull at a measurement stays what it was. Their norms are of the last shared layer; here of all
    that is trained. A term whose gradient is 0 keeps its weight.
    """

    def __init__(
        self,
        asymmetry: NonNegative = 0.0,
        every: Count = 10,
        momentum: Fraction = 0.5,
        initial: Positive = 1.0,
    ) -> None:
        super().__init__()
        self.asymmetry, self.every, self.momentum, self.initial = asymmetry, every, momentum, initial
        self._value = torch.tensor(initial, dtype=torch.float64)  # 0-d on the CPU: no cast of the module rounds it
        self._first = math.nan

    def forward(self) -> Tensor:
        return self._value

    def due(self, step: int) -> bool:
        """Whether the step is one to measure at."""
        return step % self.every == 0

    def pace(self, term: float) -> float:
        """r^α of the term's value now (per token); the first one heard is what it is compared with."""
        if math.isnan(self._first):
            self._first = term
        return max(term / self._first, 0.0) ** self.asymmetry if self._first > 0 else 1.0

    def move(self, target: float) -> None:
        """Towards what would be right at this moment."""
        self._value.mul_(self.momentum).add_((1 - self.momentum) * target)

    def formula(self) -> str:
        paced = f", α {self.asymmetry:g}" if self.asymmetry else ""
        return f"({self.initial:g}, then balanced every {self.every} steps{paced})"

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self._value.item(), self._first], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        value, self._first = state.tolist()
        self._value.fill_(value)


class Balance:
    """Measures a step for the balanced weights of an objective; without any it does nothing at all.

    ``add`` between the forward and the backward pass of every micro-batch, ``close`` before the optimiser's step.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        weights = {name: loss.weight for name, loss in objective.losses.items()}
        self.balanced = {name: weight for name, weight in weights.items() if isinstance(weight, Balanced)}
        self._sums: dict[str, Pull] = {}

    def due(self, step: int) -> bool:
        return any(weight.due(step) for weight in self.balanced.values())

    def add(self, seen: Seen, parameters: Sequence[nn.Parameter]) -> None:
        """Every term that has a weight, on one micro-batch.

        Raises:
            NumericalStop: one is not finite, so the step would not be either.
            BadInput: the student's parameters are sharded.
        """
        _refuse_shards(parameters, next(iter(self.balanced)))
        for name in self.objective.weighted:
            found = pull(self.objective, name, seen, parameters)
            if found is not None:
                known = self._sums.get(name, Pull(torch.zeros_like(found.value), torch.zeros_like(found.gradient)))
                self._sums[name] = Pull(known.value + found.value, known.gradient + found.gradient)

    def close(self, step: int, tokens: int, over_ranks: Callable[[Tensor], Tensor]) -> None:
        """Move the weights, if anything was measured in this step.

        Args:
            step: the optimiser step.
            tokens: supervised ones of all micro-batches and ranks.
            over_ranks: sums a tensor over them.
        """
        norms, values = {}, {}
        for name, told in sorted(self._sums.items()):
            norm = over_ranks(told.gradient).double().norm().item() / tokens
            if norm > 0:
                norms[name], values[name] = norm, over_ranks(told.value.double()).item() / tokens
        self._sums = {}
        moving = {name: weight for name, weight in self.balanced.items() if name in norms}
        if not moving:
            return
        pulls = {name: float(number(self.objective.losses[name].weight)) * norm for name, norm in norms.items()}
        others = [name for name in pulls if name not in moving] or list(pulls)
        mean = sum(pulls[name] for name in others) / len(others)
        paces = {name: weight.pace(values[name]) for name, weight in moving.items()}
        typical = sum(paces.values()) / len(paces)
        for name, weight in moving.items():
            if weight.due(step) and typical > 0:
                weight.move(mean * paces[name] / typical / norms[name])


def _refuse_shards(parameters: Sequence[nn.Parameter], name: str) -> None:
    from torch.distributed.tensor import DTensor

    if any(isinstance(parameter, DTensor) for parameter in parameters):
        reason = "is balanced by whole gradients, and the student's parameters are sharded over devices"
        raise BadInput(f"objective.losses.{name}.weight", reason, remedy="write a number or a schedule")
