"""How a term of an objective pulls at the student by itself: its own gradient, beside the step that is being taken."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.losses.objective import Objective
from distill.types import Batch, Moment, Outputs, Signal


@dataclass(frozen=True)
class Seen:
    """What the objective was given in a micro-batch, its graph still whole."""

    outputs: Outputs
    signal: Signal | None
    batch: Batch
    moment: Moment


@dataclass(frozen=True)
class Pull:
    """One term's, unweighted: sums over the micro-batch's supervised tokens.

    Attributes:
        value: 0-d, the term.
        gradient: (P,) float32, its gradient on all parameters, side by side.
    """

    value: Tensor
    gradient: Tensor


def pull(objective: Objective, name: str, seen: Seen, parameters: Sequence[nn.Parameter]) -> Pull | None:
    """Of one term; None if it has no gradient on anything. Leaves graph, gradients and objective as they are.

    Raises:
        NumericalStop: the term is not finite.
    """
    total = objective.alone(name)(seen.outputs, seen.signal, seen.batch, seen.moment).total
    if not total.requires_grad:
        return None
    parts = torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
    flat = [
        torch.zeros_like(parameter).flatten() if part is None else part.flatten()
        for part, parameter in zip(parts, parameters, strict=True)
    ]
    return Pull(total.detach(), torch.cat([part.float() for part in flat]))


def trained(student: nn.Module) -> list[nn.Parameter]:
    """The parameters that a term can pull at."""
    return [parameter for parameter in student.parameters() if parameter.requires_grad]
