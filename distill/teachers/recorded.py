"""Texts that were written elsewhere, as a teacher: a file of prompts and completions from whatever asked a model.

What a provider's batch interface, another tool or people wrote goes through the same filters, picks and account as what
is written here. Left out on purpose: asking for what is not in the file.
"""

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from distill.data.corpus import NULL, Tally
from distill.data.files import found_files
from distill.data.records import Record, of_files
from distill.errors import BadInput
from distill.teachers.author import Ask, Author, Writing
from distill.teachers.teacher import Teacher
from distill.types import Batch, Request


class Recorded(Teacher):
    """What somebody wrote before, looked up by its prompt.

    Args:
        path: a .jsonl (.gz, .xz) or .parquet, or a folder of them.
        prompt: the field that holds what was asked, in the very words in which it is asked now.
        completion: the field that holds what came back: a text, or a list of texts. Rows of one prompt are candidates.

    Fields ``tokens``, ``nats`` (−log p of the text) and ``ended`` are read where a row has them.

    Raises:
        BadInput: no file is named.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(self, path: str | None = None, prompt: str = "prompt", completion: str = "completion") -> None:
        if path is None:
            raise BadInput("teacher.path", "no file of texts is named", remedy="teacher.path=FILE")
        self.path, self.prompt, self.completion = Path(path).expanduser(), prompt, completion

    def teach(self, batch: Batch, request: Request) -> None:
        return None

    def author(self) -> "RecordedAuthor":
        return RecordedAuthor(self.path, self._texts)

    @cached_property
    def _texts(self) -> dict[str, list[Writing]]:
        found: dict[str, list[Writing]] = {}
        for record in of_files(self.path, Tally()):
            if record.value(self.prompt) is None:
                raise BadInput(record.place, f"field '{self.prompt}' is {NULL}", remedy="remove the row")
            found.setdefault(record.text(self.prompt), []).extend(self._of(record))
        return found

    def _of(self, record: Record) -> list[Writing]:
        told = record.value(self.completion)
        texts = told if isinstance(told, list) else [told]
        if not all(isinstance(one, str) for one in texts):
            reason = f"field '{self.completion}' is neither a text nor a list of texts"
            raise BadInput(record.place, reason, remedy="mend the row")
        tokens, nats = _number(record, "tokens", 0), _number(record, "nats", math.nan)
        return [Writing(text.strip(), int(tokens), nats, record.fields.get("ended") is not False) for text in texts]


class RecordedAuthor(Author):
    """Gives what is in the file; the decoding has no say.

    Args:
        path: of the file, for its name and fingerprint.
        texts: prompt -> candidates.
    """

    obeys: ClassVar[bool] = False

    def __init__(self, path: Path, texts: dict[str, list[Writing]]) -> None:
        self.name, self.path, self.texts = f"what {path.name} records", path, texts
        self.tells = not any(math.isnan(one.nats) for several in texts.values() for one in several)

    @cached_property
    def fingerprint(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """sha256 of the files."""
        whole = hashlib.sha256()
        for file in found_files(self.path):
            whole.update(hashlib.sha256(file.read_bytes()).digest())
        return whole.hexdigest()

    def write(self, prompts: Sequence[str], ask: Ask, seeds: Sequence[int]) -> list[list[Writing]]:
        missing = [prompt for prompt in prompts if not self.texts.get(prompt)]
        if missing:
            reason = f"has no text for {len(missing)} of these {len(prompts)} prompts"
            remedy = "ask in the words of the file (ask=plain, prompts.field=…), or for fewer (limit=…)"
            raise BadInput("teacher.path", reason, value=str(self.path), remedy=remedy)
        return [self.texts[prompt] for prompt in prompts]


def _number(record: Record, field: str, otherwise: float) -> float:
    value: Any = record.fields.get(field)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadInput(record.place, f"field '{field}' is no number", remedy="mend the row")
    return float(value)
