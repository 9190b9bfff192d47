"""On-policy: the student writes, and learns where its own text has led it."""

from typing import TYPE_CHECKING

from distill.ranges import Count, NonNegative, Share
from distill.rollouts.choices import Own
from distill.rollouts.text import STUDENT, Text
from distill.rollouts.writer import PROMPT, Writer
from distill.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Student(Writer):
    """The student writes all of the text, anew at every step.

    Formula: y_t ~ q(· | x, y_<t)
    Source: Agarwal et al. (2024). On-Policy Distillation of Language Models: Learning from Self-Generated Mistakes.
        arXiv:2306.13649

    It writes in evaluation mode, without dropout, and nothing flows back through what it drew.

    Args:
        prompt_length: tokens of a prompt, where the data supervises a sample from its first token (plain text).
        new_tokens: written at most after each.
        temperature: of the writing alone; 0 takes the likeliest token. The authors' 1 (TRL's default: 0.9).
        top_p: draw only among the likeliest tokens that together reach this probability.
    """

    def __init__(
        self, prompt_length: Count = 16, new_tokens: Count = 48, temperature: NonNegative = 1.0, top_p: Share = 1.0
    ) -> None:
        super().__init__(prompt_length, new_tokens)
        self.choice = Own(temperature, top_p)

    def texts(self, batch: Batch, student: "PreTrainedModel") -> list[Text]:
        return self._written(self._begun(batch), STUDENT, [student], [PROMPT], self.choice, "student")

    def cost(self, student: float, teacher: float) -> float:
        return student
