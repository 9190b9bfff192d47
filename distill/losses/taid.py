"""Temporally adaptive interpolated distillation (TAID): a target that walks from the student to the teacher.

How far it has walked is state of the loss: it moves once an optimiser step, by what the whole step (all micro-batches,
all ranks) measured, so neither cutting a batch nor the number of ranks changes it, and it is in the checkpoint.
"""

import math

import torch
from torch import Tensor, distributed

from distill.divergences.expectation import kl
from distill.losses.gate import Gate
from distill.losses.quantity import Quantity
from distill.losses.softened import Softened
from distill.losses.softening import Softening
from distill.ranges import Fraction, NonNegative, Positive
from distill.types import Moment


class Taid(Softened):
    """TAID: forward KL from a mixture of the student's own and the teacher's logits, with ever more of the teacher's.

    Formula: T² KL(p_t ‖ q), p_t = softmax((1 − t) z_student/T + t z_teacher/T), student detached, t from start to 1
    Source: Shing et al. (2025). TAID: Temporally Adaptive Interpolated Distillation for Efficient Knowledge Transfer
        in Language Models. arXiv:2501.16937

    t is at least the line start + (1 − start) · progress; with ``rate`` > 0 it runs ahead of it by
    rate · sigmoid(m) · (1 − t) a step, m the moving average of the loss's relative decrease.

    Args:
        start: t at the first step. The paper's 0.4 (its script: 0.2).
        rate: α of the adaptive part; 0 leaves the line alone. The paper's 5e-4.
        momentum: of m. The paper's 0.99.
        weight: in the objective's total.
        temperature: T of both sides; None takes the objective's.
        temperature_squared: multiply by T².
        softening: how the sides are softened at T.
        gate: which tokens it speaks about.

    The authors' value is a cross-entropy whose entropy part changes with t and so leaks into the decrease that moves
    t; here the value is the KL of the formula. Their t is not the same on all ranks; here it is.
    """

    def __init__(
        self,
        start: Fraction = 0.4,
        rate: NonNegative = 5e-4,
        momentum: Fraction = 0.99,
        weight: float | Quantity = 1.0,
        temperature: Positive | Quantity | None = None,
        temperature_squared: bool = True,
        softening: Softening | None = None,
        gate: Gate | None = None,
    ) -> None:
        super().__init__(weight, temperature, temperature_squared, softening, gate)
        self.start, self.rate, self.momentum = start, rate, momentum
        self._t = torch.tensor(start, dtype=torch.float64)  # 0-d on the CPU: no cast of the module rounds it
        self._decrease, self._before = 0.0, math.nan
        self._step, self._sum, self._tokens = -1, 0.0, 0

    @property
    def t(self) -> float:
        """The teacher's share in the target now."""
        return self._t.item()

    def settle(self, moment: Moment) -> None:
        if not self.training or moment.step == self._step:
            return
        t = self._ahead() if self._tokens else self.t
        floor = self.start + (1 - self.start) * moment.progress
        self._t.fill_(min(1.0, max(t, floor)))
        self._step, self._sum, self._tokens = moment.step, 0.0, 0

    def observe(self, value: Tensor, tokens: int, moment: Moment) -> None:
        heard = torch.tensor([float(value), float(tokens)], dtype=torch.float64, device=value.device)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(heard)
        self._sum += heard[0].item()
        self._tokens += int(heard[1].item())

    def _ahead(self) -> float:
        """t after what the last step measured."""
        now = self._sum / self._tokens
        if not math.isnan(self._before):
            decrease = (self._before - now) / (self._before + 1e-15)
            self._decrease = self.momentum * self._decrease + (1 - self.momentum) * decrease
        known, self._before = not math.isnan(self._before), now
        return self.t + (self.rate * (1 - self.t) / (1 + math.exp(-self._decrease)) if known else 0.0)

    def between(self, log_p: Tensor, log_q: Tensor, targets: Tensor) -> Tensor:
        t, own = self._t, log_q.detach()
        no_p, no_q = log_p == -torch.inf, own == -torch.inf
        mixed = (1 - t) * own.masked_fill(no_q, 0.0) + t * log_p.masked_fill(no_p, 0.0)
        target = mixed.masked_fill((no_p & (t > 0)) | (no_q & (t < 1)), -torch.inf).log_softmax(-1)
        return kl(target, log_q)

    def inner_formula(self) -> str:
        return f"KL(p_t ‖ q), p_t ∝ q^(1−t) p^t, q detached, t from {self.start:g} to 1, rate {self.rate:g}"

    def in_force(self) -> dict[str, float]:
        return super().in_force() | {"t": self.t}

    def get_extra_state(self) -> Tensor:
        told = [self.t, self._decrease, self._before, float(self._step), self._sum, float(self._tokens)]
        return torch.tensor(told, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        t, self._decrease, self._before, step, self._sum, tokens = state.tolist()
        self._t.fill_(t)
        self._step, self._tokens = int(step), int(tokens)
