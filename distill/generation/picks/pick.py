"""What every rule is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from distill.generation.candidate import Candidate


class Pick(ABC):
    """Candidates of one prompt, at least one -> those that are taken.

    Attributes:
        reads_nats: it asks how likely its author found a text, which not every author tells.
    """

    reads_nats: ClassVar[bool] = False

    @abstractmethod
    def picks(self, group: Sequence[Candidate]) -> list[Candidate]:
        """In the order in which they go into the data."""
