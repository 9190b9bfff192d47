"""Self-distillation from where the student began."""

from typing import TYPE_CHECKING

from distill.teachers.of_student import OfStudent
from distill.types import Moment

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class FrozenSelf(OfStudent):
    """The student as it was before its first step, maybe with a prompt that the student has to do without.

    Formula: p = q_θ₀(· | prompt, text)
    Source: Zhao et al. (2026). OPSD. arXiv:2601.18734 (fixed initial policy with privileged context)

    The initial weights are a function of the run's config and seed, so a checkpoint need not hold them.

    Args:
        prompt: text that stands before every sample for the teacher alone; null for none.
    """

    @property
    def manner(self) -> str:
        return "as it began"

    def follow(self, student: "PreTrainedModel", moment: Moment) -> None:
        return
