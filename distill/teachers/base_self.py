"""Self-distillation from the frozen base of a student with adapters, without a second copy of it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import torch

from distill.errors import BadInput
from distill.models import answer, evaluating
from distill.signals.hidden import Hidden
from distill.teachers.of_student import OfStudent
from distill.teachers.prompt import prompted
from distill.types import Batch, Moment, Request, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class BaseSelf(OfStudent):
    """The student with its adapters switched off, maybe behind a prompt that the student has to do without.

    Formula: p = q_W(· | prompt, text), where the student is q_{W + α / r · B A}
    Source: Zhao et al. (2026). OPSD. arXiv:2601.18734 (fixed initial policy); peft's ``disable_adapter`` (the base is
        shared).

    What ``teacher=frozen_self`` says of such a student, at no memory of its own: the adapters begin at zero.

    Args:
        prompt: text that stands before every sample for the teacher alone; null for none.
    """

    @property
    def manner(self) -> str:
        return "without its adapters"

    def meet(self, student: "PreTrainedModel") -> None:
        if not _adapters(student):
            reason = "is the student without its adapters, and it has none"
            raise BadInput("teacher", reason, remedy="use student=lora, or teacher=frozen_self")
        self._copy = student

    def follow(self, student: "PreTrainedModel", moment: Moment) -> None:
        return

    def to(self, device: torch.device) -> "BaseSelf":
        return self  # it goes with the student

    @torch.no_grad()
    def teach(self, batch: Batch, request: Request) -> Signal:
        self.passes += 1
        shown = prompted(batch, self._ids, self._begin)
        self._refuse_long(shown)
        with evaluating(self.copy), without_adapters(self.copy):
            told = answer(self.copy, shown.teacher_inputs, shown.teacher_positions, request, self._limit)
        return Hidden(told.hidden, told.head, told)


@contextmanager
def without_adapters(model: "PreTrainedModel") -> Iterator[None]:
    """The frozen base for a while."""
    with ExitStack() as after:
        for layer in _adapters(model):
            layer.enable_adapters(False)
            after.callback(layer.enable_adapters, True)
        yield


def _adapters(model: "PreTrainedModel") -> list:
    from importlib.util import find_spec

    if find_spec("peft") is None:
        return []
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
