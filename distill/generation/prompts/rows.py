"""Prompts from a field of the user's rows; what stands in another field is the reference."""

from collections.abc import Iterator
from pathlib import Path

from distill.data.corpus import NULL, Tally
from distill.data.records import of_files
from distill.generation.asking import Asking
from distill.generation.candidate import Prompt
from distill.generation.prompts.source import Source


class Rows(Source):
    """Rows of a .jsonl or .parquet.

    Args:
        path: a file or a folder of them.
        field: what is asked.
        reference: what somebody answered: for Seq-Inter and correctness; null for none.
    """

    def __init__(self, path: str, field: str = "prompt", reference: str | None = None) -> None:
        self.path, self.field, self.reference = Path(path).expanduser(), field, reference

    def prompts(self, asking: Asking, tally: Tally) -> Iterator[Prompt]:
        for record in of_files(self.path, tally):
            if record.value(self.field) is None:
                tally.drop(NULL)
                continue
            text = record.text(self.field)
            reference = record.text(self.reference) if self.reference else ""
            yield Prompt(asking.words(text, reference), text, reference, record.domain)
