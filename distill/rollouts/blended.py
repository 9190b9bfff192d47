"""Teacher-mixed sampling: student and teacher write each token together."""

from typing import TYPE_CHECKING

from distill.ranges import Count, Fraction
from distill.rollouts.choices import Blended as Both
from distill.rollouts.text import STUDENT, Text
from distill.rollouts.writer import PROMPT, TOLD, Writer
from distill.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Blended(Writer):
    """Each token is drawn from a mixture of what student and teacher would say (MiniLLM's teacher-mixed sampling).

    Formula: y_t ~ p̃ = α p + (1 − α) q
    Source: Gu, Dong, Wei, Huang (2024). MiniLLM: Knowledge Distillation of Large Language Models. arXiv:2306.08543

    log p̃ of every token goes with the text, so that an objective can weigh it by q / p̃. α = 0 is the student's own
    text, α = 1 the teacher's.

    Args:
        prompt_length: tokens of a prompt, where the data supervises a sample from its first token (plain text).
        new_tokens: written at most after each.
        teacher_share: α. The paper's 0.2.
    """

    def __init__(self, prompt_length: Count = 16, new_tokens: Count = 48, teacher_share: Fraction = 0.2) -> None:
        super().__init__(prompt_length, new_tokens)
        self.teacher_share = teacher_share
        self.choice = Both(teacher_share)

    def texts(self, batch: Batch, student: "PreTrainedModel") -> list[Text]:
        models, prompts = [student, self.teaching()], [PROMPT, TOLD]
        return self._written(self._begun(batch), STUDENT, models, prompts, self.choice, "student")

    def cost(self, student: float, teacher: float) -> float:
        return student + teacher
