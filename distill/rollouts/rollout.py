"""What every rollout is: it may replace the text of a batch before anybody answers it."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from distill.types import Batch, Moment

if TYPE_CHECKING:
    from torch import nn


class Rollout(ABC):
    @abstractmethod
    def roll(self, batch: Batch, student: "nn.Module", moment: Moment) -> Batch:
        """The batch to train on: the same one, or one with text written by a model."""
