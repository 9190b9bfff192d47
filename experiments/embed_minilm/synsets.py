"""WordNet's synsets as pairs: the words that mean the same, and the gloss that says what.

Data of this experiment alone: a reader, and nothing else. Synsets of one word are left out (most words have several
meanings), and so are the example sentences of a gloss.
"""

from collections.abc import Iterator
from typing import ClassVar

from distill.data.corpus import Tally
from distill.data.records import Record
from distill.data.sentences import SentenceData
from experiments.wordnet import entries

PARTS = ("noun", "verb", "adj", "adv")
ALONE = "of_one_word"


class Synsets(SentenceData):
    """Synonyms, joined by commas, and their gloss.

    Source: Fellbaum 1998, WordNet: an electronic lexical database

    ``path`` is the folder that holds ``data.noun`` and its like; the other keys are those of ``SentenceData``.
    """

    kind: ClassVar[str] = "sentences"

    def records(self, tally: Tally) -> Iterator[Record]:
        """
        Raises:
            BadInput: WordNet is not there.
        """
        for part in PARTS:
            for place, line, gloss in entries(self.place.path, part, tally):
                words = _words(line)
                if len(words) < 2:
                    tally.drop(ALONE)
                    continue
                yield Record(place, {self.anchor_field: ", ".join(words), self.positive_field: gloss})


def _words(line: str) -> list[str]:
    """The words of a line of data.pos(5WN): a hexadecimal count in the fourth place, then word and number in turn."""
    told = line.split(" ")
    count = int(told[3], 16)
    return [word.partition("(")[0].replace("_", " ") for word in told[4 : 4 + 2 * count : 2]]
