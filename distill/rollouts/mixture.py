"""GKD's mixture: some of the steps on text that one writes, the rest on text that another one writes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from distill.ranges import Fraction
from distill.rollouts.chance import chance
from distill.rollouts.language import Language
from distill.rollouts.rollout import Rollout, Teaching
from distill.rollouts.text import evened
from distill.types import Batch, Moment, Outputs, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Mixture(Rollout):
    """A fraction λ of the micro-steps on the writer's text, the others on the rest's (GKD).

    Formula: u ~ U(0, 1) a micro-step; the writer's text if u < λ; λ = fraction + (until − fraction) · progress
    Source: Agarwal et al. (2024). On-Policy Distillation of Language Models: Learning from Self-Generated Mistakes.
        arXiv:2306.13649, algorithm 1

    λ = 1 is the writer alone, λ = 0 the rest alone. ``rest`` is the data's text with the same prompts, or the teacher's
    (``rollout@rollout.rest=teacher``), which with λ = 0 is sequence-level distillation with soft labels.

    Args:
        writer: usually the student.
        rest: usually the data.
        fraction: λ at the first step.
        until: λ at the last step; null: it stays.
        by_text: every text counts alike, as in the paper; else every token does.
    """

    writes: ClassVar[bool] = True

    def __init__(
        self,
        writer: Rollout,
        rest: Rollout,
        fraction: Fraction = 0.5,
        until: Fraction | None = None,
        by_text: bool = False,
    ) -> None:
        self.writer, self.rest = writer, rest
        self.fraction, self.until = fraction, fraction if until is None else until
        self.by_text = by_text
        self._now, self._last = fraction, rest

    @property
    def written(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.writer.written + self.rest.written

    def meet(self, language: Language, teacher: Teaching) -> None:
        self.writer.meet(language, teacher)
        self.rest.meet(language, teacher)

    def roll(self, batch: Batch, student: "PreTrainedModel", moment: Moment) -> Batch:
        self._now = self.fraction + (self.until - self.fraction) * moment.progress
        drawn = torch.rand((), dtype=torch.float64, generator=chance("mixture")).item()
        self._last = self.writer if drawn < self._now else self.rest
        rolled = self._last.roll(batch, student, moment)
        return evened(rolled) if self.by_text else rolled

    def hear(self, nats_per_token: float) -> None:
        self.writer.hear(nats_per_token)
        self.rest.hear(nats_per_token)

    def watch(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> None:
        self._last.watch(outputs, signal, batch)

    def account(self) -> Mapping[str, float]:
        return {**self._last.account(), "rollout/share": self._now, "rollout/written": float(self.written)}

    def units(self) -> Mapping[str, str]:
        return {**self.rest.units(), **self.writer.units()}

    def cost(self, student: float, teacher: float) -> float:
        share = (self.fraction + self.until) / 2
        return share * self.writer.cost(student, teacher) + (1 - share) * self.rest.cost(student, teacher)

    def state(self) -> dict[str, Any]:
        return {"writer": self.writer.state(), "rest": self.rest.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.writer.restore(state["writer"])
        self.rest.restore(state["rest"])
