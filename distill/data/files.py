"""The user's own text: a file or a folder of ``.txt``, ``.jsonl`` (both also ``.gz``, ``.xz``) and ``.parquet``.

Refused, with file and line, because going on would train on something else than the user meant: a line that is no
JSON or no object, a field that is missing or no string, bytes that are not UTF-8, binary data, a line or text above
32 MiB, an empty file, a damaged or cut-off compressed file. Dropped and counted, because real data sets are full
of them: a null, blank text, exact duplicates. Accepted silently: a byte order mark, CRLF, a missing last newline.
No error ever shows a row's text.

A ``.jsonl`` or ``.parquet`` row is a document. A ``.txt`` is cut into documents of whole paragraphs: at the first blank
line after 2,000 characters, or at the first line end after 8,000; so that one long file can be split into train,
validation and test. Neighbouring sections of one file may then stand in different splits.

Left out on purpose: reading while training. The corpus is held in memory.
"""

import gzip
import json
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from distill.data.corpus import LONGEST, NULL, Corpus, Tally, checked, gather
from distill.errors import BadInput, ResourceStop

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".txt", ".txt.gz", ".txt.xz", ".jsonl", ".jsonl.gz", ".jsonl.xz", ".parquet")
SECTION, LONGEST_SECTION = 2_000, 8_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def files(path: Path, field: str = "text") -> Corpus:
    """The documents of a file, or of every file of a folder in the order of their names.

    Args:
        path: a file with one of ``SUFFIXES``, or a folder that holds some, at any depth.
        field: the column of a ``.parquet``, the key of a ``.jsonl``.

    Raises:
        BadInput: see the head of this module.
        ResourceStop: a file may not be read.
    """
    tally = Tally()
    try:
        found = found_files(path)
    except OSError as problem:
        raise BadInput(str(path), f"cannot be looked at ({problem.strerror})", remedy="check data.path") from None
    return gather(str(path), _walked(path, found, field, tally), tally)


def _walked(path: Path, found: list[Path], field: str, tally: Tally) -> Iterator[str]:
    for file in found:
        tally.domain = domain_of(path, file)
        yield from texts_of(file, field, tally)


def domain_of(path: Path, file: Path) -> str:
    """Which part of a folder a file belongs to: the folder in it, or the file's own name without its suffix."""
    if file == path:
        return ""
    first = file.relative_to(path).parts[0]
    return first.removesuffix(suffix_of(file)) if first == file.name else first


def found_files(path: Path) -> list[Path]:
    accepted = f"accepted are {', '.join(SUFFIXES)}"
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if suffix_of(file) and not file.name.startswith("."))
        if not inside:
            raise BadInput(str(path), "no text in this folder", remedy=accepted)
        return inside
    if not path.exists():
        raise BadInput(str(path), "no such file or folder", remedy="check data.path")
    if not suffix_of(path):
        raise BadInput(str(path), "not a kind of file that is read", remedy=accepted)
    return [path]


def suffix_of(path: Path) -> str:
    """The kind of file by its name, or nothing."""
    name = path.name.lower()
    return next((suffix for suffix in reversed(SUFFIXES) if name.endswith(suffix)), "")


def texts_of(path: Path, field: str, tally: Tally) -> Iterator[str]:
    """The documents of one file."""
    if not path.is_file():
        raise BadInput(str(path), "no file, or a link to nothing", remedy="remove it")
    try:
        if path.stat().st_size == 0:
            raise BadInput(str(path), "an empty file", remedy="was a download interrupted?")
        suffix = suffix_of(path)
        if suffix == ".parquet":
            yield from _parquet(path, field, tally)
        elif suffix.startswith(".jsonl"):
            yield from _json_lines(path, field, tally)
        else:
            yield from _sections(path, tally)
    except OSError as problem:
        raise ResourceStop(str(path), f"cannot be read ({problem.strerror or 'input/output error'})") from None


# ------------------------------------------------------------------------------------------------------------ lines


def whole_lines(path: Path) -> Iterator[tuple[str, str]]:
    """(``file:line``, the line in Unicode with its end as ``\\n``)."""
    number = 0
    try:
        with _opened(path) as file:
            while line := file.readline(LONGEST + 1):
                number += 1
                place = f"{path}:{number}"
                yield place, _decoded(place, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line)
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError):
        place = f"{path}:{number + 1}"
        raise BadInput(place, "the compressed data is damaged or cut off here", remedy="fetch the file again") from None


def _opened(path: Path) -> IO[bytes]:
    if path.name.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.name.lower().endswith(".xz"):
        return cast(IO[bytes], lzma.open(path, "rb"))
    return path.open("rb")


def _decoded(place: str, line: bytes) -> str:
    if len(line) > LONGEST:
        raise BadInput(place, f"a line of more than {LONGEST:,} bytes", remedy="cut it into documents")
    if line[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadInput(place, "UTF-16", remedy="save the file as UTF-8")
    if b"\0" in line:
        raise BadInput(place, "binary data (a NUL byte)", remedy="give a text file")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as problem:
        where = f"byte {problem.start + 1} of the line is not UTF-8"
        raise BadInput(place, where, remedy="save the file as UTF-8") from None
    return text[:-2] + "\n" if text.endswith("\r\n") else text


def _sections(path: Path, tally: Tally) -> Iterator[str]:
    """Whole paragraphs; put together again they are the file, but for blank lines between two sections."""
    lines: list[str] = []
    length = 0
    for _, line in whole_lines(path):
        lines.append(line)
        length += len(line)
        if length >= (SECTION if not line.strip() else LONGEST_SECTION):
            tally.rows += 1
            yield "".join(lines).strip("\n")
            lines, length = [], 0
    if lines:
        tally.rows += 1
        yield "".join(lines).strip("\n")


def _json_lines(path: Path, field: str, tally: Tally) -> Iterator[str]:
    """A record's field ``domain`` says where it is from, else its file does."""
    domain = tally.domain
    for place, line in whole_lines(path):
        tally.rows += 1
        if not line.strip():
            yield ""
            continue
        row = json_object(place, line)
        if field not in row:
            raise BadInput(place, f"no field '{field}' {fields_told(list(row))}", remedy="data.field=NAME")
        tally.domain = str(row.get("domain") or domain)
        yield from text_of(place, row[field], field, tally)


def json_object(place: str, line: str) -> dict[str, Any]:
    """The object that a line holds; raises BadInput if it holds anything else."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as problem:
        raise BadInput(place, f"not JSON at column {problem.colno} ({problem.msg})", remedy="mend the line") from None
    except (ValueError, RecursionError):
        raise BadInput(place, "JSON with a number too long or nested too deeply", remedy="mend the line") from None
    if not isinstance(row, dict):
        raise BadInput(place, f"{kind_of(row)}, where an object {{…}} was expected", remedy="mend the line")
    return row


def text_of(place: str, value: object, field: str, tally: Tally) -> Iterator[str]:
    """The value if it is a text; nothing, counted, if it is null.

    Raises:
        BadInput: it is anything else, or a text that cannot be a document.
    """
    if value is None:
        tally.drop(NULL)
    elif isinstance(value, str):
        yield checked(place, value)
    else:
        raise BadInput(place, f"field '{field}' is {kind_of(value)}, where text was expected", remedy="mend the row")


def kind_of(value: object) -> str:
    kinds = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return kinds.get(type(value), "null" if value is None else f"a {type(value).__name__}")


def fields_told(names: list[str]) -> str:
    """Names of columns help to mend a config; what does not look like a name could be somebody's text."""
    shown = [name for name in names if name.isidentifier() and len(name) <= 32][:8]
    return f"(there are: {', '.join(shown)})" if shown else "(and no other that looks like a name)"


# ---------------------------------------------------------------------------------------------------------- parquet


def _parquet(path: Path, field: str, tally: Tally) -> Iterator[str]:
    """Row by row; ``file:row`` counts from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path, page_checksum_verification=True)
    except PermissionError:
        raise
    except (pa.ArrowException, OSError):
        raise BadInput(str(path), "not a whole parquet file", remedy="fetch the file again") from None
    with table:
        _check_column(path, table.schema_arrow, field)
        row = 0
        try:
            for batch in table.iter_batches(batch_size=1024, columns=[field]):
                for value in batch.column(0):
                    row += 1
                    tally.rows += 1
                    yield from text_of(f"{path}:{row}", value.as_py(), field, tally)
        except (pa.ArrowException, OSError):
            raise BadInput(f"{path}:{row + 1}", "damaged from here on", remedy="fetch the file again") from None
        except UnicodeDecodeError:
            raise BadInput(f"{path}:{row}", "not UTF-8", remedy="write the column as UTF-8") from None


def _check_column(path: Path, schema: "pa.Schema", field: str) -> None:
    import pyarrow.types as kinds

    if schema.names.count(field) != 1:
        fault = "two columns" if field in schema.names else "no column"
        raise BadInput(str(path), f"{fault} '{field}' {fields_told(schema.names)}", remedy="data.field=NAME")
    kind = schema.types[schema.names.index(field)]
    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    if not any(like(kind) for like in (kinds.is_string, kinds.is_large_string, kinds.is_string_view, kinds.is_null)):
        raise BadInput(str(path), f"column '{field}' holds {kind}, where text was expected", remedy="data.field=NAME")
