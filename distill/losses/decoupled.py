"""Decoupled distillation (DKD): the one divergence that has to know which token comes."""

from torch import Tensor

from distill.divergences.decoupled import decoupled_kl
from distill.losses.gate import Gate
from distill.losses.quantity import Quantity
from distill.losses.softened import Softened
from distill.losses.softening import Softening
from distill.ranges import NonNegative, Positive


class Decoupled(Softened):
    """DKD: the teacher's certainty about the target, and its ranking of all other tokens, weighed apart.

    Formula: T² [α KL(b_p ‖ b_q) + β KL(p̂ ‖ q̂)], b = (p_y, 1 − p_y), p̂ = p without y, renormalised
    Source: Zhao et al. (2022). Decoupled Knowledge Distillation. arXiv:2203.08679

    Args:
        target_weight: α.
        rest_weight: β.
        weight: in the objective's total.
        temperature: T of both sides; None takes the objective's. The paper's 4.
        temperature_squared: multiply by T².
        softening: how the sides are softened at T.
        gate: which tokens it speaks about.
    """

    def __init__(
        self,
        target_weight: NonNegative = 1.0,
        rest_weight: NonNegative = 8.0,
        weight: float | Quantity = 1.0,
        temperature: Positive | Quantity | None = None,
        temperature_squared: bool = True,
        softening: Softening | None = None,
        gate: Gate | None = None,
    ) -> None:
        super().__init__(weight, temperature, temperature_squared, softening, gate)
        self.target_weight, self.rest_weight = target_weight, rest_weight

    def between(self, log_p: Tensor, log_q: Tensor, targets: Tensor) -> Tensor:
        return decoupled_kl(log_p, log_q, targets, self.target_weight, self.rest_weight)

    def inner_formula(self) -> str:
        return f"{self.target_weight:g} KL(b_p ‖ b_q) + {self.rest_weight:g} KL(p̂ ‖ q̂)"
