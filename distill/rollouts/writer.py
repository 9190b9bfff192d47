"""What rollouts share in which models write: prompts in, texts out, counted and watched."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from distill.errors import BadInput
from distill.models import evaluating
from distill.ranges import Count
from distill.rollouts import meter
from distill.rollouts.chance import chance
from distill.rollouts.choices import Choice
from distill.rollouts.language import Language
from distill.rollouts.pen import Pen
from distill.rollouts.prompts import begun
from distill.rollouts.rollout import Rollout, Teaching
from distill.rollouts.text import Text, laid
from distill.rollouts.writing import room, write
from distill.types import Batch, Moment, Outputs, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel


PROMPT, TOLD = attrgetter("prompt"), attrgetter("told")
"""What the student reads of a sample, and what the teacher reads."""


class Writer(Rollout):
    """Text written after the prompts of a batch.

    Args:
        prompt_length: tokens of a prompt, where the data supervises a sample from its first token (plain text).
        new_tokens: written at most after each; fewer where the writer ends.
    """

    writes: ClassVar[bool] = True

    def __init__(self, prompt_length: Count = 16, new_tokens: Count = 48) -> None:
        self.prompt_length, self.new_tokens = prompt_length, new_tokens
        self.language: Language | None = None
        self._teacher: Teaching = lambda: None
        self._told: dict[str, float] = {}

    def meet(self, language: Language, teacher: Teaching) -> None:
        self.language, self._teacher = language, teacher

    def roll(self, batch: Batch, student: "PreTrainedModel", moment: Moment) -> Batch:
        return laid(self.texts(batch, student), self._language.padding, batch.targets.device)

    @abstractmethod
    def texts(self, batch: Batch, student: "PreTrainedModel") -> list[Text]:
        """What is written after the prompts of a batch."""

    def watch(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> None:
        self._told |= meter.visited(outputs, signal, batch)

    def account(self) -> Mapping[str, float]:
        return {**self._told, "rollout/written": float(self.written)}

    def units(self) -> Mapping[str, str]:
        return meter.UNITS

    def _begun(self, batch: Batch) -> list[Text]:
        return begun(batch, self.prompt_length)

    def _written(
        self,
        given: Sequence[Text],
        writer: int,
        models: "Sequence[PreTrainedModel]",
        prompts: Sequence[Callable[[Text], Tensor]],
        choice: Choice,
        purpose: str,
    ) -> list[Text]:
        """Texts after the prompts that each model is shown.

        Args:
            given: samples of the data.
            writer: whose text it is.
            models: the first one's entropy is watched.
            prompts: what each of them reads of a sample.
            choice: of the next token.
            purpose: names the random numbers.
        """
        shown = [[read(text) for text in given] for read in prompts]
        length = room(models, shown, self.new_tokens)
        uniform = torch.rand(len(given), length, 2, dtype=torch.float64, generator=chance(purpose))
        with ExitStack() as modes, torch.no_grad():
            for model in models:
                modes.enter_context(evaluating(model))
            pens = [Pen(model, one, length, self._language) for model, one in zip(models, shown, strict=True)]
            draft = write(pens, choice, uniform, self._language)
        self.written += int(draft.lengths.sum())
        self._told = meter.of_draft(draft)
        return [
            replace(text, tokens=row[:n], behaviour=drawn[:n], writer=writer, ended=bool(ended))
            for text, row, drawn, n, ended in zip(
                given, draft.tokens, draft.behaviour, draft.lengths.tolist(), draft.ended, strict=True
            )
        ]

    @property
    def _language(self) -> Language:
        assert self.language is not None, "a rollout hears of the tokens before the first step"
        return self.language

    def teaching(self) -> "PreTrainedModel":
        """The teacher's model.

        Raises:
            BadInput: it has none that could write.
        """
        model = self._teacher()
        if model is None:
            reason = "lets the teacher write, and this teacher has no model here that could"
            raise BadInput("rollout", reason, remedy="use teacher=live or teacher=nursery, or rollout=student")
        return model
