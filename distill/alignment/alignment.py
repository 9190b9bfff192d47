"""What every alignment is: it moves a signal from the teacher's tokens to the student's."""

from abc import ABC, abstractmethod

from distill.types import Batch, Signal


class Alignment(ABC):
    @abstractmethod
    def align(self, signal: Signal | None, batch: Batch) -> Signal | None:
        """The same statement on the student's tokens and positions."""
