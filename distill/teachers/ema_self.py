"""Self-distillation from the student's own recent past."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from distill.ranges import Fraction
from distill.teachers.of_student import OfStudent
from distill.types import Moment

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class EmaSelf(OfStudent):
    """An exponential moving average of the student's weights, maybe with a prompt that the student has to do without.

    Formula: φ_0 = θ_0; φ_t = d φ_{t−1} + (1 − d) θ_t; p = q_φ(· | prompt, text)
    Source: Tarvainen and Valpola (2017). Mean teachers. arXiv:1703.01780, equation 2; as the teacher of
        self-distillation, Shenfeld et al. (2026). SDFT. arXiv:2601.19897

    The average is brought up to date at the beginning of a step, from the weights that the step begins with. It lies in
    the checkpoint. Mean teachers' code raises d over the first steps; here it is what it says.

    Args:
        decay: d; 0 is the student as it is now, 1 the student as it began.
        prompt: text that stands before every sample for the teacher alone; null for none.
    """

    def __init__(self, decay: Fraction = 0.99, prompt: str | None = None) -> None:
        super().__init__(prompt)
        self.decay = decay
        self._step = 0

    @property
    def manner(self) -> str:
        return f"a moving average of its weights, decay {self.decay:g}"

    @torch.no_grad()
    def follow(self, student: "PreTrainedModel", moment: Moment) -> None:
        if moment.step == self._step:
            return
        self._step = moment.step
        for own, new in zip(self.copy.parameters(), student.parameters(), strict=True):
            own.lerp_(new.detach(), 1.0 - self.decay)
        for own, new in zip(self.copy.buffers(), student.buffers(), strict=True):
            own.copy_(new)

    def state(self) -> dict[str, Any]:
        return {"step": self._step, "weights": dict(self.copy.named_parameters())}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        self._step = state["step"]
        for name, own in self.copy.named_parameters():
            own.copy_(state["weights"][name])
