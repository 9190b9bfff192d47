"""What every teacher is: something that answers a batch with a signal, and is never trained or checkpointed.

A teacher is deliberately not an ``nn.Module``: a LightningModule that holds one can then neither register it as a
submodule, optimise it, nor write it into a checkpoint.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch

from distill.types import Batch, ModelShape, Request, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Teacher(ABC):
    """Batch -> Signal.

    Attributes:
        provides: which needs of a loss it can answer; compared with them before a weight is loaded.
        shape: its model's sizes, or None if it has no model of its own here.
        vocabulary: ids that it speaks about; 0 if it has none of its own.
        passes: forward passes made so far, for the cost that a report shows.
        folder: where the model's files lie or which hub id it has, or None.
        fingerprint: sha256 of everything that decides its answers, or None if nothing does.
    """

    provides: ClassVar[frozenset[str]]
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

    @abstractmethod
    def teach(self, batch: Batch, request: Request) -> Signal | None:
        """What it says at ``batch.teacher_positions``, without a gradient; None if it has nothing to say."""

    def ready(self) -> None:
        """Load what it will surely need, so that what is broken is refused before a run begins."""
        return

    def share(self, vocabulary: int) -> None:
        """Speak only of the first ``vocabulary`` ids, those that the student knows too."""
        return

    def check_packing(self) -> None:
        """Refuse, with BadInput, if documents packed in one row would see each other. Without a model none can."""
        return

    def to(self, device: torch.device) -> "Teacher":
        """Move to where the batches are; in place, as modules do."""
        return self
