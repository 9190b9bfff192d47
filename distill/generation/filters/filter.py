"""What every filter is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from distill.generation.candidate import Candidate


class Filter(ABC):
    """Candidates of one prompt -> which of them stay. They come in the order in which they were written."""

    @abstractmethod
    def keeps(self, group: Sequence[Candidate]) -> list[bool]:
        """For each."""
