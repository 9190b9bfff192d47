"""Contrastive pairs: teacher and student both write after every prompt."""

from typing import TYPE_CHECKING

from distill.ranges import Count, NonNegative, Share
from distill.rollouts.choices import Own
from distill.rollouts.text import STUDENT, TEACHER, Text
from distill.rollouts.writer import PROMPT, TOLD, Writer
from distill.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Pairs(Writer):
    """After every prompt a text of the teacher's and one of the student's, for a loss that pulls and pushes.

    Formula: y_t ~ p(· | x), y_s ~ q(· | x)
    Source: Ko et al. (2025). DistiLLM-2: A Contrastive Approach Boosts the Distillation of LLMs. arXiv:2503.07067

    The paper writes once an epoch; here both are new at every step.

    Args:
        prompt_length: tokens of a prompt, where the data supervises a sample from its first token (plain text).
        new_tokens: written at most after each.
        temperature: of both.
        top_p: draw only among the likeliest tokens that together reach this probability.
    """

    def __init__(
        self, prompt_length: Count = 16, new_tokens: Count = 48, temperature: NonNegative = 1.0, top_p: Share = 1.0
    ) -> None:
        super().__init__(prompt_length, new_tokens)
        self.choice = Own(temperature, top_p)

    def texts(self, batch: Batch, student: "PreTrainedModel") -> list[Text]:
        given = self._begun(batch)
        taught = self._written(given, TEACHER, [self.teaching()], [TOLD], self.choice, "teacher")
        return taught + self._written(given, STUDENT, [student], [PROMPT], self.choice, "student")

    def cost(self, student: float, teacher: float) -> float:
        return (student + teacher) / 2
