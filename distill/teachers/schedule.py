"""Teachers one after the other in one training.

Left out on purpose: mixing the outgoing teacher with the incoming one (an ensemble does), and going back. Losses on
hidden states need one teacher of one size throughout.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from distill.errors import BadInput
from distill.ranges import Count, NonNegative
from distill.teachers.teacher import Teacher
from distill.types import Batch, ModelShape, Moment, Outputs, Request, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Schedule(Teacher):
    """Teachers in turn: the next one takes over at a step, or when the student stops getting better under this one.

    Which one teaches is in the checkpoint. The student is measured against the last one.

    Args:
        teachers: by name.
        order: their names, the first to teach first; a teacher that is not in it never teaches.
        at: optimiser steps at which the second, third, … takes over; null to wait for a plateau.
        patience: validation points without a better one that make a plateau.
        least: nats per token by which a point has to be better to count.

    Raises:
        BadInput: a name that no teacher has, steps that do not rise or are too many or few, or a teacher that does not
            speak of all tokens.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"logits"})
    changes: ClassVar[bool] = True
    in_turn: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"teachers/turn": "count", "teachers/since": "count"}

    def __init__(
        self,
        teachers: dict[str, Teacher],
        order: list[str],
        at: list[Count] | None = None,
        patience: Count = 3,
        least: NonNegative = 0.0,
    ) -> None:
        self.teachers, self.order, self.at = teachers, list(order), None if at is None else list(at)
        self.patience, self.least = patience, least
        self._refuse()
        self.turn, self.waited, self.best = 0, 0, float("inf")
        self._teaching, self._since = 0, 0  # the turn of the last micro-step, and the optimiser step that it began with

    # ------------------------------------------------------------------------------------------------- taking turns

    @property
    def now(self) -> Teacher:
        """Who teaches."""
        return self.teachers[self.order[self.turn]]

    @property
    def _active(self) -> list[Teacher]:
        return [self.teachers[name] for name in dict.fromkeys(self.order)]

    def follow(self, student: "PreTrainedModel", moment: Moment) -> None:
        if self.at is not None:
            self.turn = sum(moment.step >= step for step in self.at)
        if self.turn != self._teaching:
            self._teaching, self._since = self.turn, moment.step
        for one in self._active:
            one.follow(student, moment)

    def hear(self, nats_per_token: float) -> None:
        """A validation point; too many without a better one and the next teacher takes over."""
        for one in self._active:
            one.hear(nats_per_token)
        if nats_per_token < self.best - self.least:
            self.best, self.waited = nats_per_token, 0
            return
        self.waited += 1
        if self.at is None and self.waited >= self.patience and self.turn + 1 < len(self.order):
            self.turn, self.waited = self.turn + 1, 0

    def state(self) -> dict[str, Any]:
        members = {name: self.teachers[name].state() for name in self.order}
        own = {"turn": self.turn, "waited": self.waited, "best": self.best}
        return {**own, "teaching": self._teaching, "since": self._since, "teachers": members}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.turn, self.waited, self.best = state["turn"], state["waited"], state["best"]
        self._teaching, self._since = state.get("teaching", self.turn), state.get("since", 0)
        for name in dict.fromkeys(self.order):
            self.teachers[name].restore(state["teachers"][name])

    def account(self, temperature: float, outputs: Outputs | None = None) -> Mapping[str, float]:
        """Which of them teaches, counted from 0, and the optimiser steps that had been made when it took over."""
        told = {"teachers/turn": float(self.turn), "teachers/since": float(self._since)}
        return {**told, **self.now.account(temperature, outputs)}

    def teach(self, batch: Batch, request: Request) -> Signal | None:
        before = self.now.passes
        signal = self.now.teach(batch, request)
        self.passes += self.now.passes - before
        return signal

    # ---------------------------------------------------------------------------------------------- as any teacher

    @property
    def model(self) -> "PreTrainedModel | None":
        return self.exact.model

    @property
    def folder(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.teachers[self.order[-1]].folder

    @property
    def exact(self) -> Teacher:
        return self.teachers[self.order[-1]].exact

    @property
    def shape(self) -> ModelShape | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the dearest: a control gets no less compute than the student's teachers cost."""
        return self._dearest([one.shape for one in self._active])

    def size(self, student: ModelShape) -> ModelShape | None:
        return self._dearest([one.size(student) for one in self._active])

    @property
    def vocabulary(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return min(one.vocabulary for one in self._active)

    @property
    def fingerprint(self) -> str | None:
        """Of all teachers in their order; when they change is in the run's config."""
        told = [one.fingerprint for one in self._active]
        return None if None in told else "-".join(str(one)[:16] for one in told)

    @property
    def notes(self) -> tuple[str, ...]:
        when = f"after {self.patience} validation points without a better one"
        when = when if self.at is None else f"at step {', '.join(map(str, self.at))}"
        return (
            f"teachers in turn: {', then '.join(self.order)}, {when}",
            *(n for one in self._active for n in one.notes),
        )

    def ready(self) -> None:
        for one in self._active:
            one.ready()

    def read_with(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        for one in self._active:
            one.read_with(tokenizer)

    def meet(self, student: "PreTrainedModel") -> None:
        for one in self._active:
            one.meet(student)

    def share(self, vocabulary: int) -> None:
        for one in self._active:
            one.share(vocabulary)

    def check_packing(self) -> None:
        for one in self._active:
            one.check_packing()

    def to(self, device: torch.device) -> "Schedule":
        for one in self._active:
            one.to(device)
        return self

    @staticmethod
    def _dearest(shapes: list[ModelShape | None]) -> ModelShape | None:
        known = [shape for shape in shapes if shape is not None]
        return max(known, key=lambda shape: shape.flops_per_token) if len(known) == len(shapes) else None

    def _refuse(self) -> None:
        known = ", ".join(self.teachers)
        for name in self.order:
            if name not in self.teachers:
                raise BadInput("teacher.order", f"no such teacher; there are {known}", value=name)
            if "logits" not in self.teachers[name].provides:
                reason = "teachers that take turns speak of all tokens, this one does not"
                raise BadInput(f"teacher.teachers.{name}", reason, remedy="use a teacher that runs here")
        if not self.order:
            raise BadInput("teacher.order", "names nobody", remedy=f"name teachers of {known}")
        if self.at is not None and (len(self.at) != len(self.order) - 1 or sorted(set(self.at)) != self.at):
            reason = f"expected {len(self.order) - 1} rising steps, one for each teacher after the first"
            raise BadInput("teacher.at", reason, value=self.at)
