"""Equal tokenizers: what the teacher said already speaks of the student's tokens."""

from distill.alignment.alignment import Alignment
from distill.types import Batch, Signal


class Identity(Alignment):
    """Pass the signal on as it is. Which ids are shared was checked before any weight was loaded."""

    def align(self, signal: Signal | None, batch: Batch) -> Signal | None:
        return signal
