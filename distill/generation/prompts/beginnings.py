"""Beginnings of documents: a teacher goes on with them, and how they really go on is the reference."""

from collections.abc import Iterator
from pathlib import Path

from distill.data.corpus import SHORT, Tally
from distill.data.files import files
from distill.data.python_docs import python_docs
from distill.generation.asking import Asking
from distill.generation.candidate import Prompt
from distill.generation.prompts.source import Source
from distill.ranges import Count


class Beginnings(Source):
    """The first characters of documents, up to a space.

    Args:
        path: a file or folder of text; null for the documentation inside Python.
        field: the key or column that holds it.
        characters: of a beginning; documents of less than twice as many are left out.
        cache: where the gathered documentation is kept.
    """

    def __init__(
        self, path: str | None = None, field: str = "text", characters: Count = 200, cache: str | None = None
    ) -> None:
        self.path, self.field, self.characters = path, field, characters
        self.cache = None if cache is None else Path(cache).expanduser()

    def prompts(self, asking: Asking, tally: Tally) -> Iterator[Prompt]:
        corpus = files(Path(self.path).expanduser(), self.field) if self.path else python_docs(self.cache)
        tally.rows += corpus.rows
        tally.dropped.update(corpus.dropped)
        for document in corpus.documents:
            cut = document.text.rfind(" ", 1, self.characters)
            if len(document.text) < 2 * self.characters or cut < 1:
                tally.drop(SHORT)
                continue
            begin, rest = document.text[:cut], document.text[cut + 1 : cut + 1 + 4 * self.characters]
            yield Prompt(asking.words(begin, rest), begin, rest, document.domain)
