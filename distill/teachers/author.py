"""What a teacher is that writes text: prompts in, candidates out. A model that runs here, a server, a file of texts.

A row's candidates depend on the row's own seed alone, never on which rows stand beside it: so writing can be stopped
anywhere, cut into other batches, and gone on with.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from distill.errors import BadInput
from distill.ranges import Count, NonNegative, Share


@dataclass(frozen=True)
class Ask:
    """How to write.

    Attributes:
        candidates: texts for each prompt.
        new_tokens: of each at most.
        temperature: 0 takes the likeliest token.
        top_p: draw only among the likeliest tokens that together reach this probability.
        beams: hypotheses kept at every place; 1 searches none.
        length_power: hypotheses are compared by nats / tokens^power.
        chat: prompts are what a user says, spelled by the model's own template; else text to be continued.
        system: what the template is told first, or None.
    """

    candidates: Count = 1
    new_tokens: Count = 256
    temperature: NonNegative = 0.0
    top_p: Share = 1.0
    beams: Count = 1
    length_power: NonNegative = 1.0
    chat: bool = True
    system: str | None = None


@dataclass(frozen=True)
class Writing:
    """One candidate.

    Attributes:
        text: without marks.
        tokens: written, the end mark among them; 0 where nobody counts.
        nats: −log p of them under the writer at temperature 1; NaN where nobody says.
        ended: the writer ended it; else it was cut.
    """

    text: str
    tokens: int
    nats: float
    ended: bool


class Author(ABC):
    """Writes.

    Attributes:
        name: as a person knows it.
        fingerprint: sha256 of everything that decides its texts, beside prompt, ``Ask`` and seed.
        judges: it can say how likely it finds texts of others.
        tells: it says how likely what it wrote is: ``Writing.nats`` is a number.
        obeys: it writes as ``Ask`` says; else its texts were written before, nobody knows how.
    """

    name: str
    fingerprint: str
    judges: ClassVar[bool] = False
    tells: bool = True
    obeys: ClassVar[bool] = True

    @abstractmethod
    def write(self, prompts: Sequence[str], ask: Ask, seeds: Sequence[int]) -> list[list[Writing]]:
        """``ask.candidates`` texts for each prompt, the likeliest first where they were searched for.

        Args:
            prompts: at once, as many as the caller holds for a batch.
            seeds: one a prompt.
        """

    def likelihoods(self, prompts: Sequence[str], texts: Sequence[str], ask: Ask) -> list[tuple[float, int]]:
        """(−log p in nats, tokens) of texts that somebody else wrote, by an author that ``judges``."""
        raise BadInput(f"teacher {self.name}", "says nothing about texts of others", remedy="use teacher=live")
