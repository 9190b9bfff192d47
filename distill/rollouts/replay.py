"""DistiLLM's adaptive off-policy text: written text is kept and used again, and how much of it is used grows only when
the student stops getting better on the data.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from distill.errors import BadInput
from distill.ranges import Count, Fraction, NonNegative
from distill.rollouts.buffer import Buffer
from distill.rollouts.chance import chance
from distill.rollouts.language import Language
from distill.rollouts.rollout import Rollout, Teaching
from distill.rollouts.text import Text, laid
from distill.rollouts.writer import Writer
from distill.types import Batch, Moment, Outputs, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Replay(Rollout):
    """New text of the writer's, old text of the writer's from a buffer, or the data's own (DistiLLM).

    Formula: u ~ U(0, 1) a micro-step; u < φ (1 − progress): write and keep; else u < φ: from the buffer; else the
        rest's. φ grows by ``rise`` when the validation loss is not below the one before it + ``tolerance``
    Source: Ko et al. (2024). DistiLLM: Towards Streamlined Distillation for Large Language Models. arXiv:2402.03898,
        section 3.2

    Several validations make an epoch of the paper's, where φ is looked at once. An empty buffer writes instead. The
    buffer, φ and the last validation loss are in the checkpoint.

    Args:
        writer: usually the student.
        rest: usually the data.
        capacity: texts kept; the oldest goes first. The paper's 1,000.
        start: φ at the first step. The paper's 0.
        rise: of φ. The paper's 0.1.
        tolerance: nats a token. The paper's 0.1; a negative one demands an improvement.
    """

    writes: ClassVar[bool] = True

    def __init__(
        self,
        writer: Rollout,
        rest: Rollout,
        capacity: Count = 1000,
        start: Fraction = 0.0,
        rise: NonNegative = 0.1,
        tolerance: float = 0.1,
    ) -> None:
        if not isinstance(writer, Writer):
            raise BadInput("rollout.writer", "writes nothing", remedy="use rollout@rollout.writer=student")
        self.writer, self.rest = writer, rest
        self.share, self.rise, self.tolerance = start, rise, tolerance
        self.buffer = Buffer(capacity)
        self._before: float | None = None
        self._padding = 0
        self._last: Rollout = rest
        self._replayed = False

    @property
    def written(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.writer.written + self.rest.written

    def meet(self, language: Language, teacher: Teaching) -> None:
        self._padding = language.padding
        self.writer.meet(language, teacher)
        self.rest.meet(language, teacher)

    def roll(self, batch: Batch, student: "PreTrainedModel", moment: Moment) -> Batch:
        drawn = torch.rand((), dtype=torch.float64, generator=chance("replay")).item()
        self._replayed = False
        if drawn >= self.share:
            self._last = self.rest
            return self.rest.roll(batch, student, moment)
        self._last = self.writer
        fresh = drawn < self.share * (1 - moment.step / moment.steps) or not self.buffer.texts
        self._replayed = not fresh
        return laid(self._texts(batch, student, fresh), self._padding, batch.targets.device)

    def _texts(self, batch: Batch, student: "PreTrainedModel", fresh: bool) -> Sequence[Text]:
        assert isinstance(self.writer, Writer), "refused when it was made"
        if fresh:
            texts = self.writer.texts(batch, student)
            self.buffer.add(texts)
            return texts
        return self.buffer.draw(len(batch.samples), chance("buffer"))

    def hear(self, nats_per_token: float) -> None:
        if self._before is not None and nats_per_token >= self._before + self.tolerance:
            self.share = min(self.share + self.rise, 1.0)
        self._before = nats_per_token

    def watch(self, outputs: Outputs, signal: Signal | None, batch: Batch) -> None:
        self._last.watch(outputs, signal, batch)

    def account(self) -> Mapping[str, float]:
        told = {} if self._replayed else dict(self._last.account())
        told |= {"rollout/share": self.share, "rollout/buffer": float(len(self.buffer.texts))}
        return {**told, "rollout/replayed": float(self._replayed), "rollout/written": float(self.written)}

    def units(self) -> Mapping[str, str]:
        return {**self.rest.units(), **self.writer.units()}

    def cost(self, student: float, teacher: float) -> float:
        return self.share / 2 * self.writer.cost(student, teacher)  # φ may grow: the least that it costs

    def state(self) -> dict[str, Any]:
        told = {"share": self.share, "before": self._before, "buffer": self.buffer.state()}
        return {**told, "writer": self.writer.state(), "rest": self.rest.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.share, self._before = state["share"], state["before"]
        self.buffer.restore(state["buffer"])
        self.writer.restore(state["writer"])
        self.rest.restore(state["rest"])
