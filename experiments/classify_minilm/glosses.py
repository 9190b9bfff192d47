"""WordNet's glosses with the supersense that its lexicographers filed each under: 26 classes of nouns.

Data of this experiment alone, and an example of data whose rows lie in no table: a reader, and nothing else.
"""

from collections.abc import Iterator
from typing import ClassVar

from distill.data.classification import ClassificationData
from distill.data.corpus import Tally
from distill.data.records import Record
from experiments.wordnet import entries

FIRST = 3
"""The number of ``noun.Tops`` among WordNet's lexicographer files (lexnames(5WN)); the nouns follow."""
SUPERSENSES = [
    *("Tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling"),
    *("food", "group", "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process"),
    *("quantity", "relation", "shape", "state", "substance", "time"),
]


class Glosses(ClassificationData):
    """Glosses of WordNet's nouns and their supersenses, without the example sentences.

    Source: Ciaramita and Johnson 2003, Supersense tagging of unknown nouns in WordNet, EMNLP; Fellbaum 1998, WordNet

    ``path`` is the folder that holds ``data.noun``; the other keys are those of ``ClassificationData``.
    """

    kind: ClassVar[str] = "classification"

    def records(self, tally: Tally) -> Iterator[Record]:
        """
        Raises:
            BadInput: WordNet is not there.
        """
        for place, line, gloss in entries(self.place.path, "noun", tally):
            label = SUPERSENSES[int(line.split(" ", 2)[1]) - FIRST]
            yield Record(place, {self.text_field: gloss, self.label_field: label})
