"""What every alignment is: it moves a signal from the teacher's tokens to the student's.

Groups that do not align are dropped from the teacher's terms: at their tokens a loss adds 0 and nothing is rescaled
(the sum is divided by all supervised tokens as ever). Each alignment counts them; the share that is heard is logged.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from distill.types import Batch, Signal

Spelling = Sequence[bytes | None]
"""What each id of a tokenizer spells (``distill/data/spelling.py``)."""


class Alignment(ABC):
    """Signal on the teacher's tokens -> signal on the student's.

    Attributes:
        crosses: whether the two tokenizers may differ; then batches carry ``spans``, and ``prepare`` is called.
        needs: what it asks of a teacher's signal beside what the losses ask.
    """

    crosses: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def align(self, signal: Signal | None, batch: Batch) -> Signal | None:
        """The same statement on the student's tokens and positions."""

    def prepare(self, student: Spelling, teacher: Spelling) -> None:
        """Compare the two vocabularies, once, before the first batch."""
        return

    def account(self) -> Mapping[str, float]:
        """Shares of the tokens since it was last asked, by name, for the log."""
        return {}
