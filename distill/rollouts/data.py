"""Off-policy: the text is the data's own."""

from typing import TYPE_CHECKING

from distill.ranges import Count
from distill.rollouts.language import Language
from distill.rollouts.prompts import begun
from distill.rollouts.rollout import Rollout, Teaching
from distill.rollouts.text import laid
from distill.types import Batch, Moment

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Data(Rollout):
    """Train on the text as it stands in the data set.

    Args:
        prompt_length: supervise only what comes after a prompt of so many tokens, one sample a row, as when a model
            writes after it; None leaves the batch as it is.
    """

    def __init__(self, prompt_length: Count | None = None) -> None:
        self.prompt_length = prompt_length
        self._padding = 0

    def meet(self, language: Language, teacher: Teaching) -> None:
        self._padding = language.padding

    def roll(self, batch: Batch, student: "PreTrainedModel", moment: Moment) -> Batch:
        if self.prompt_length is None:
            return batch
        return laid(begun(batch, self.prompt_length), self._padding, batch.targets.device)
