"""What every teacher is: something that answers a batch with a signal, and is never trained or checkpointed.

A teacher is deliberately not an ``nn.Module``: a LightningModule that holds one can then neither register it as a
submodule, optimise it, nor write it into a checkpoint.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch

from distill.types import Batch, ModelShape, Request, Signal


class Teacher(ABC):
    """Batch -> Signal.

    Attributes:
        provides: which needs of a loss it can answer; compared with them before a weight is loaded.
        shape: its model's sizes, or None if it has no model of its own here.
        passes: forward passes made so far, for the cost that a report shows.
    """

    provides: ClassVar[frozenset[str]]
    shape: ModelShape | None = None
    passes: int = 0

    @abstractmethod
    def teach(self, batch: Batch, request: Request) -> Signal | None:
        """What it says at ``batch.teacher_positions``, without a gradient; None if it has nothing to say."""

    def to(self, device: torch.device) -> "Teacher":
        """Move to where the batches are; in place, as modules do."""
        return self
