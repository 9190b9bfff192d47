"""The teacher writes, and the student learns on its text: sequence-level distillation with soft labels, drawn anew.

Left out on purpose: keeping what was written. A teacher that writes once into a data set is ``distill generate``.
"""

from typing import TYPE_CHECKING

from distill.ranges import Count, NonNegative, Share
from distill.rollouts.choices import Own
from distill.rollouts.text import TEACHER, Text
from distill.rollouts.writer import TOLD, Writer
from distill.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Teacher(Writer):
    """The teacher writes all of the text, anew at every step.

    Formula: y_t ~ p(· | x, y_<t); E[−log q(y)] = KL(p ‖ q) + H(p) over whole texts
    Source: Kim & Rush (2016). Sequence-Level Knowledge Distillation. arXiv:1606.07947

    The paper decodes with a beam, which is the mode of p; a draw is the exact sequence-level forward KL in expectation.

    Args:
        prompt_length: tokens of a prompt, where the data supervises a sample from its first token (plain text).
        new_tokens: written at most after each.
        temperature: of the writing alone; 0 takes the likeliest token.
        top_p: draw only among the likeliest tokens that together reach this probability.
    """

    def __init__(
        self, prompt_length: Count = 16, new_tokens: Count = 48, temperature: NonNegative = 1.0, top_p: Share = 1.0
    ) -> None:
        super().__init__(prompt_length, new_tokens)
        self.choice = Own(temperature, top_p)

    def texts(self, batch: Batch, student: "PreTrainedModel") -> list[Text]:
        return self._written(self._begun(batch), TEACHER, [self.teaching()], [TOLD], self.choice, "teacher")

    def cost(self, student: float, teacher: float) -> float:
        return teacher
