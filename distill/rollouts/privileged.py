"""Self-distillation with privileged context: the student writes, and the teacher, who is the student, knows more.

The context is the sample's own answer, shown to the teacher alone, in front of the prompt. Whose weights the teacher
has is the teacher's business: ``teacher=frozen_self``, ``teacher=ema_self``, live with ``teacher=ema_self
teacher.decay=0``; or another model's.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from distill.ranges import Count, NonNegative, Share
from distill.rollouts.choices import Own
from distill.rollouts.text import STUDENT, Text
from distill.rollouts.writer import PROMPT, Writer
from distill.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Privileged(Writer):
    """The student writes; the teacher reads the data's own answer before it says what should have come.

    Formula: y ~ q(· | x); p = q_φ(· | before, c, between, x, y_<t), c the sample's answer, or its prompt and answer
    Source: Shenfeld et al. (2026). Self-Distillation Enables Continual Learning. arXiv:2601.19897
    Source: Zhao et al. (2026). On-Policy Self-Distillation. arXiv:2601.18734

    With an empty context and live weights teacher and student say the same: the loss and its gradient are 0.

    Args:
        prompt_length: tokens of a prompt, where the data supervises a sample from its first token (plain text).
        new_tokens: written at most after each.
        temperature: of the writing alone.
        top_p: draw only among the likeliest tokens that together reach this probability.
        context: what of the sample is shown to the teacher.
        before: words in front of it.
        between: words between it and the prompt.
    """

    def __init__(
        self,
        prompt_length: Count = 16,
        new_tokens: Count = 48,
        temperature: NonNegative = 1.0,
        top_p: Share = 1.0,
        context: Literal["answer", "sample", "none"] = "sample",
        before: str = "",
        between: str = "\n\n",
    ) -> None:
        super().__init__(prompt_length, new_tokens)
        self.choice = Own(temperature, top_p)
        self.context, self.before, self.between = context, before, between

    def texts(self, batch: Batch, student: "PreTrainedModel") -> list[Text]:
        given = [self.shown(text) for text in self._begun(batch)]
        return self._written(given, STUDENT, [student], [PROMPT], self.choice, "student")

    def shown(self, text: Text) -> Text:
        """The sample with what its teacher reads: the begin mark first, then context and prompt without their marks."""
        if self.context == "none":
            return text
        begin = self._language.begin
        marked = begin is not None and len(text.told) > 0 and int(text.told[0]) == begin
        prompt = text.told[1:] if marked else text.told
        answer = text.tokens[:-1] if int(text.tokens[-1]) in self._language.ends else text.tokens
        known = answer if self.context == "answer" else torch.cat([prompt, answer])
        parts = [text.told[:1] if marked else text.told[:0], self._ids(self.before), known]
        return replace(text, told=torch.cat([*parts, self._ids(self.between), prompt]))

    def _ids(self, words: str) -> Tensor:
        return torch.tensor(list(self._language.encode(words)) if words else [], dtype=torch.long)

    def cost(self, student: float, teacher: float) -> float:
        return student
