"""Speculative distillation: the student proposes, the teacher's likeliest tokens accept or replace.

Left out on purpose: blocks of several proposals that the teacher reads at once. They draw from the same distribution,
and save teacher passes only where the teacher dominates the cost.
"""

from typing import TYPE_CHECKING

from distill.ranges import Count, Natural
from distill.rollouts.choices import Speculative as Accepting
from distill.rollouts.text import STUDENT, Text
from distill.rollouts.writer import PROMPT, TOLD, Writer
from distill.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Speculative(Writer):
    """The student proposes each token; one that is not among the teacher's K likeliest is drawn from the teacher.

    Formula: y ~ q; if y is not among the K largest of p: y ~ p
    Source: Xu et al. (2025). Speculative Knowledge Distillation: Bridging the Teacher-Student Gap Through Interleaved
        Sampling. arXiv:2410.11325

    K = V is the student's own text, K = 0 the teacher's. How many tokens stayed the student's is logged as
    ``rollout/own``.

    Args:
        prompt_length: tokens of a prompt, where the data supervises a sample from its first token (plain text).
        new_tokens: written at most after each.
        top: K. The paper's 25.
    """

    def __init__(self, prompt_length: Count = 16, new_tokens: Count = 48, top: Natural = 25) -> None:
        super().__init__(prompt_length, new_tokens)
        self.choice = Accepting(top)

    def texts(self, batch: Batch, student: "PreTrainedModel") -> list[Text]:
        models, prompts = [student, self.teaching()], [PROMPT, TOLD]
        return self._written(self._begun(batch), STUDENT, models, prompts, self.choice, "student")

    def cost(self, student: float, teacher: float) -> float:
        return student + teacher
