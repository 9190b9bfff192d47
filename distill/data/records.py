"""Rows with several fields: objects of a ``.jsonl``, rows of a ``.parquet``, rows of a hub's data set.

What a row has to hold, the reader of it says (conversations, questions); what makes a file unreadable is refused as in
``files.py``, with file and line and never with the row's text. Left out on purpose: ``.txt``, which has no fields.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.data.corpus import EMPTY, NULL, Tally, checked
from distill.data.files import domain_of, fields_told, found_files, json_object, kind_of, suffix_of, whole_lines
from distill.data.hub import loaded
from distill.errors import BadInput

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Record:
    """A row, and where it stands: ``file:line`` or ``set:row``."""

    place: str
    fields: dict[str, Any]
    domain: str = ""

    def text(self, field: str) -> str:
        """The text in a field.

        Raises:
            BadInput: there is none, or it is no text.
        """
        value = self.value(field)
        if not isinstance(value, str):
            reason = f"field '{field}' is {kind_of(value)}, where text was expected"
            raise BadInput(self.place, reason, remedy="mend the row")
        return checked(self.place, value)

    def value(self, field: str) -> Any:
        """Whatever is in a field; refused with BadInput if there is no such field."""
        if field not in self.fields:
            told = fields_told(list(self.fields))
            raise BadInput(self.place, f"no field '{field}' {told}", remedy="say in data which fields are meant")
        return self.fields[field]


def of_files(path: Path, tally: Tally) -> Iterator[Record]:
    """Of a file, or of every ``.jsonl`` and ``.parquet`` of a folder, in the order of their names.

    Raises:
        BadInput: a file cannot be read as rows.
    """
    found = [file for file in found_files(path) if file == path or not suffix_of(file).startswith(".txt")]
    if path.is_dir() and not found:
        raise BadInput(str(path), "no .jsonl and no .parquet in this folder", remedy="check data.path")
    for file in found:
        suffix, tally.domain = suffix_of(file), domain_of(path, file)
        if suffix.startswith(".txt"):
            raise BadInput(str(file), "plain text has no fields", remedy="give .jsonl or .parquet, or use data=text")
        if file.stat().st_size == 0:
            raise BadInput(str(file), "an empty file", remedy="was a download interrupted?")
        rows = _of_parquet(file, tally) if suffix == ".parquet" else _of_lines(file, tally)
        for place, fields in rows:
            yield Record(place, fields, str(fields.get("domain") or tally.domain))


def of_hub(
    name: str, split: str, subset: str | None, cache: Path | None, tally: Tally, encoded: bool = False
) -> Iterator[Record]:
    """Of one split of a data set of the hub, or of a folder that ``datasets`` reads.

    Args:
        encoded: leave pictures and sounds as the bytes or paths that the set holds.
    """
    found = loaded(name, split, subset, cache)
    for row in _encoded(found) if encoded else found:
        tally.rows += 1
        fields: dict[str, Any] = dict(row)  # type: ignore[arg-type]
        yield Record(f"{name}:{tally.rows}", fields, str(fields.get("domain") or ""))


def _encoded(found: "Dataset") -> "Dataset":
    from datasets import Audio, Image

    for column, feature in found.features.items():
        for kind in (Image, Audio):
            if isinstance(feature, kind):  # the library's own types
                found = found.cast_column(column, kind(decode=False))
    return found


def _of_lines(file: Path, tally: Tally) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, line in whole_lines(file):
        tally.rows += 1
        if not line.strip():
            tally.drop(EMPTY)
        elif line.strip() == "null":
            tally.drop(NULL)
        else:
            yield place, json_object(place, line)


def _of_parquet(file: Path, tally: Tally) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as table:
            for batch in table.iter_batches(batch_size=1024):
                for fields in batch.to_pylist():
                    row += 1
                    tally.rows += 1
                    yield f"{file}:{row}", fields
    except PermissionError:
        raise
    except (pa.ArrowException, OSError):
        place = f"{file}:{row + 1}" if row else str(file)
        raise BadInput(place, "damaged, or not a whole parquet file", remedy="fetch the file again") from None
