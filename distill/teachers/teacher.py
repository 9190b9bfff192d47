"""What every teacher is: something that answers a batch with a signal, and is never trained or checkpointed.

A teacher is deliberately not an ``nn.Module``: a LightningModule that holds one can then neither register it as a
submodule, optimise it, nor write it into a checkpoint.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from distill.types import Batch, ModelShape, Moment, Outputs, Request, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from distill.teachers.author import Author


class Teacher(ABC):
    """Batch -> Signal.

    Attributes:
        provides: which needs of a loss it can answer; compared with them before a weight is loaded.
        shape: its model's sizes, or None if it has no model of its own here.
        vocabulary: ids that it speaks about; 0 if it has none of its own.
        passes: forward passes made so far, for the cost that a report shows.
        folder: where the model's files lie or which hub id it has, or None.
        fingerprint: sha256 of everything that decides its answers, or None if nothing does.
        changes: its answers depend on when it is asked, so they cannot be kept for another run; read as text.
        in_turn: of its models one speaks at a time; read as text.
        of_student: it is made of the student, and has its sizes; read as text.
        units: of what it logs, by name; nats per token where it is not said.
    """

    provides: ClassVar[frozenset[str]]
    changes: ClassVar[bool] = False
    in_turn: ClassVar[bool] = False
    of_student: ClassVar[bool] = False
    units: ClassVar[Mapping[str, str]] = {}
    shape: ModelShape | None = None
    vocabulary: int = 0
    passes: int = 0
    folder: str | None = None

    @property
    def model(self) -> "PreTrainedModel | None":
        """What can be measured beside the student, or None; loaded when it is first asked for."""
        return None

    @property
    def fingerprint(self) -> str | None:
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about its word, a line each."""
        return ()

    @property
    def exact(self) -> "Teacher":
        """Whom measures are taken against: itself, or the teacher whose word it only keeps."""
        return self

    def author(self) -> "Author | None":
        """Who writes its texts; None if it writes none."""
        return None

    @abstractmethod
    def teach(self, batch: Batch, request: Request) -> Signal | None:
        """What it says at ``batch.teacher_positions``, without a gradient; None if it has nothing to say."""

    def foretell(self, tokens: int) -> tuple[str, ...]:
        """What being asked about so many tokens at most will take beside its passes, a line each; before a run begins.

        Raises:
            ResourceStop: there is no room for it.
        """
        return ()

    def ready(self) -> None:
        """Load what it will surely need, so that what is broken is refused before a run begins."""
        return

    def size(self, student: ModelShape) -> ModelShape | None:
        """What a pass of it costs, beside a student of this size."""
        return self.shape

    # ------------------------------------------------------------------------------------- before and during a training

    def read_with(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        """Hear whose tokens the batches are made of; once, before ``share``."""
        return

    def meet(self, student: "PreTrainedModel") -> None:
        """Meet the student with its initial weights, before a checkpoint is loaded; it is the student's own object."""
        return

    def follow(self, student: "PreTrainedModel", moment: Moment) -> None:
        """See the student at the beginning of a micro-step; what moves on, moves on once an optimiser step."""
        return

    def hear(self, nats_per_token: float) -> None:
        """Hear how the student did on the validation text."""
        return

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold of it: plain values and tensors."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        return

    def account(self, temperature: float, outputs: Outputs | None = None) -> Mapping[str, float]:
        """Numbers about its last answer, by name, for the log; without a gradient.

        Args:
            temperature: of the objective.
            outputs: the student's to the same batch, where it is at hand.
        """
        return {}

    # ---------------------------------------------------------------------------------------------------- its answers

    def share(self, vocabulary: int) -> None:
        """Speak only of the first ``vocabulary`` ids, those that the student knows too."""
        return

    def check_packing(self) -> None:
        """Refuse, with BadInput, if documents packed in one row would see each other. Without a model none can."""
        return

    def to(self, device: torch.device) -> "Teacher":
        """Move to where the batches are; in place, as modules do."""
        return self
