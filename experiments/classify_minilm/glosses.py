"""WordNet's glosses with the supersense that its lexicographers filed each under: 26 classes of nouns.

Data of this experiment alone, and an example of data whose rows lie in no table: a reader, and nothing else.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from distill.data.classification import ClassificationData
from distill.data.corpus import Tally
from distill.data.records import Record
from distill.errors import BadInput

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
        file = Path(self.place.path or "").expanduser() / "data.noun"
        if not file.is_file():
            remedy = "apt-get install wordnet-base, or data.path=FOLDER"
            raise BadInput(str(file), "WordNet's nouns are not there", remedy=remedy)
        for number, line in enumerate(file.read_text(encoding="latin-1").splitlines(), start=1):
            if line.startswith("  "):
                continue  # the licence
            tally.rows += 1
            gloss = line.partition("| ")[2].partition('; "')[0].strip()
            label = SUPERSENSES[int(line.split(" ", 2)[1]) - FIRST]
            yield Record(f"{file}:{number}", {self.text_field: gloss, self.label_field: label})
