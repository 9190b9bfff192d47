"""What every rule is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from distill.generation.candidate import Candidate


class Pick(ABC):
    """Candidates of one prompt, at least one -> those that are taken."""

    @abstractmethod
    def picks(self, group: Sequence[Candidate]) -> list[Candidate]:
        """In the order in which they go into the data."""
