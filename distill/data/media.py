"""The user's own pictures and sounds: a folder, a JSONL, a Parquet or a data set of the hub, with what is said of each.

A folder: files with a ``metadata.jsonl`` whose lines name them (``{"file_name": "a.png", "text": "…"}``, as Hugging
Face's image and audio folders have it), or each file with a ``.txt`` of the same name beside it. A JSONL: the field
``image`` or ``audio`` is a path from the JSONL's own folder. A Parquet or a hub's data set: the column holds a path, or
``{"bytes", "path"}``. Rows without text, files that are missing or broken are counted and named, never guessed at.

Left out on purpose: archives and streaming.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distill.data.corpus import NULL, Tally
from distill.data.records import Record, of_files, of_hub
from distill.data.source import Item, Source
from distill.errors import BadInput

METADATA = "metadata.jsonl"


class Folder(Source):
    """Files of a folder, a JSONL or a Parquet.

    Args:
        path: of the folder or the file.
        medium: the field that names or holds a picture or a sound.
        fields: what is read of each row beside it; a row may lack some.
        suffixes: of files that are taken from a folder.
    """

    def __init__(self, path: str, medium: str, fields: tuple[str, ...], suffixes: tuple[str, ...]) -> None:
        self.path, self.medium, self.fields, self.suffixes = Path(path).expanduser(), medium, fields, suffixes

    @property
    def name(self) -> str:
        return str(self.path)

    def items(self, tally: Tally) -> Iterator[Item]:
        """
        Raises:
            BadInput: no such place, or a line that is no JSON object.
        """
        told = self.path / METADATA
        if self.path.is_dir() and not told.is_file():
            yield from self._pairs(tally)
            return
        medium, file = ("file_name", told) if self.path.is_dir() else (self.medium, self.path)
        for record in of_files(file, tally):
            yield from _items(record, file.parent, medium, self.fields, tally)

    def _pairs(self, tally: Tally) -> Iterator[Item]:
        """Each file with the text beside it."""
        for file in sorted(one for one in self.path.rglob("*") if one.suffix.lower() in self.suffixes):
            tally.rows += 1
            beside = file.with_suffix(".txt")
            text = beside.read_text(encoding="utf-8").strip() if beside.is_file() else ""
            yield Item(str(file), file, {self.fields[0]: text}, _domain(self.path, file))


class Hub(Source):
    """A split of a data set of the hub, or of a folder that ``datasets`` can read; pictures and sounds stay encoded.

    Args:
        path: ``org/set`` or a folder.
        medium: the column of pictures or sounds.
        fields: the columns of texts.
        split, subset, cache: as ``distill/data/hub.py`` takes them.
    """

    def __init__(
        self,
        path: str,
        medium: str,
        fields: tuple[str, ...],
        split: str = "train",
        subset: str | None = None,
        cache: Path | None = None,
    ) -> None:
        self.path, self.medium, self.fields = path, medium, fields
        self.split, self.subset, self.cache = split, subset, cache

    @property
    def name(self) -> str:
        return f"{self.path} ({self.split})"

    def items(self, tally: Tally) -> Iterator[Item]:
        """
        Raises:
            BadInput: the set, split or column does not exist.
        """
        for record in of_hub(self.path, self.split, self.subset, self.cache, tally, encoded=True):
            yield from _items(record, Path("."), self.medium, self.fields, tally)


def _items(record: Record, home: Path, medium: str, fields: tuple[str, ...], tally: Tally) -> Iterator[Item]:
    held = record.value(medium)
    if isinstance(held, Mapping):
        held = held.get("bytes") or held.get("path")
    if held is None:
        tally.drop(NULL)
        return
    if not isinstance(held, bytes | str):
        reason = f"field '{medium}' holds neither a file's name nor its bytes"
        raise BadInput(record.place, reason, remedy="mend the row")
    content = held if isinstance(held, bytes) else home / held
    place = record.place if isinstance(held, bytes) else f"{record.place} {held}"
    yield Item(place, content, _texts(record, fields), record.domain)


def _texts(record: Record, fields: tuple[str, ...]) -> dict[str, str]:
    """The fields that are there; of a list of texts (several captions) the first."""
    told = {}
    for name in fields:
        value: Any = record.fields.get(name)
        if value is not None and value != []:
            first = Record(record.place, {name: value[0] if isinstance(value, list) else value})
            told[name] = first.text(name)
    return told


def _domain(home: Path, file: Path) -> str:
    first = file.relative_to(home).parts[0]
    return "" if first == file.name else first
