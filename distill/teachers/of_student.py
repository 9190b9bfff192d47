"""What teachers are that are made of the student itself: a copy of its weights that is not trained.

The copy is made when the student is met, lies in no module and no optimiser, and answers in evaluation mode, without
dropout. Left out on purpose: students whose weights are sharded over devices (FSDP), which cannot be copied from one of
them.
"""

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch

from distill.data.encode import Marks
from distill.errors import BadInput
from distill.models import answer
from distill.signals.hidden import Hidden
from distill.teachers.none import NoTeacher
from distill.teachers.prompt import prompted
from distill.teachers.teacher import Teacher
from distill.types import Batch, ModelShape, Moment, Request, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class OfStudent(Teacher):
    """A copy of the student, maybe behind a prompt of its own.

    Args:
        prompt: text that stands before every sample for the teacher alone; null for none.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"logits", "hidden", "layers", "attention"})
    changes: ClassVar[bool] = True
    of_student: ClassVar[bool] = True

    def __init__(self, prompt: str | None = None) -> None:
        self.prompt = prompt or ""
        self._ids: Sequence[int] = ()
        self._begin: int | None = None
        self._copy: PreTrainedModel | None = None
        self._limit: int | None = None  # of ids that are shared, where a student knows more

    @property
    def copy(self) -> "PreTrainedModel":
        """The weights that answer now."""
        if self._copy is None:
            reason = "is a copy of a student whose training begins, and none has begun"
            raise BadInput("teacher", reason, remedy="use teacher=live with a model's folder")
        return self._copy

    @property
    def exact(self) -> Teacher:
        """Measures are not taken against a teacher that is the student's own past."""
        return NoTeacher()

    @property
    def notes(self) -> tuple[str, ...]:
        behind = f", and reads {len(self._ids)} tokens of its own before each sample" if self._ids else ""
        return (f"the teacher is the student itself ({self.manner}){behind}",)

    @property
    @abstractmethod
    def manner(self) -> str:
        """Which student's weights it has, in words."""

    @abstractmethod
    def follow(self, student: "PreTrainedModel", moment: Moment) -> None: ...

    def size(self, student: ModelShape) -> ModelShape:
        return student

    def read_with(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._begin = Marks.of(tokenizer).begin
        self._ids = tokenizer(self.prompt, add_special_tokens=False)["input_ids"] if self.prompt else ()  # type: ignore[assignment]

    def share(self, vocabulary: int) -> None:
        self._limit = vocabulary

    def meet(self, student: "PreTrainedModel") -> None:
        self._copy = copy.deepcopy(student).eval().requires_grad_(False)

    def to(self, device: torch.device) -> "OfStudent":
        if self._copy is not None:
            self._copy.to(device)  # pyright: ignore[reportArgumentType]  (torch's overloads)
        return self

    @torch.no_grad()
    def teach(self, batch: Batch, request: Request) -> Signal:
        self.passes += 1
        shown = prompted(batch, self._ids, self._begin)
        self._refuse_long(shown)
        told = answer(self.copy, shown.teacher_inputs, shown.teacher_positions, request, self._limit)
        return Hidden(told.hidden, told.head, told)

    def _refuse_long(self, shown: Batch) -> None:
        limit = getattr(self.copy.config.get_text_config(decoder=True), "max_position_embeddings", None)
        if self._ids and limit is not None and shown.teacher_inputs["input_ids"].shape[1] > limit:
            reason = f"with it a sample is longer than the {limit:,} positions of the model"
            raise BadInput("teacher.prompt", reason, remedy="shorten it, or lower data.sequence_length")
