"""What every filter is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from distill.generation.candidate import Candidate


class Filter(ABC):
    """Candidates of one prompt -> which of them stay. They come in the order in which they were written.

    Attributes:
        reads_nats: it asks how likely its author found a text, which not every author tells.
    """

    reads_nats: ClassVar[bool] = False

    @abstractmethod
    def keeps(self, group: Sequence[Candidate]) -> list[bool]:
        """For each."""
