"""What every source of prompts is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from distill.data.corpus import Tally
from distill.generation.asking import Asking
from distill.generation.candidate import Prompt


class Source(ABC):
    """Gives prompts, the same at every call."""

    @abstractmethod
    def prompts(self, asking: Asking, tally: Tally) -> Iterator[Prompt]:
        """Every prompt in its order, put into words by ``asking``; ``tally`` is told of every row.

        Raises:
            BadInput: the source cannot be used.
        """
