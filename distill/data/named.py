"""Several named sources of plain text as one corpus: each name is a domain.

named({"docs": None, "mail": "mail.jsonl"}, "text", cache)
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from distill.data.corpus import Corpus, Tally, gather
from distill.data.files import found_files, texts_of
from distill.data.python_docs import docs
from distill.errors import BadInput


def named(sources: Mapping[str, str | None], field: str, cache: Path | None) -> Corpus:
    """The documents of all sources, one source after the other. A text that two of them have is the first one's.

    Args:
        sources: name -> a file or folder as in ``files``, or None for the documentation inside Python.
        field: the key or column that holds the text, in all of them.
        cache: where the gathered documentation is kept.

    Raises:
        BadInput: there are none, or one cannot be used.
    """
    if not sources:
        raise BadInput("data.sources", "names none", remedy="data.sources='{NAME: FILE_OR_FOLDER}'")
    tally = Tally()
    told = ", ".join(f"{name} ({path or 'the documentation inside Python'})" for name, path in sources.items())
    return gather(told, _read(sources, field, cache, tally), tally)


def _read(sources: Mapping[str, str | None], field: str, cache: Path | None, tally: Tally) -> Iterator[str]:
    for name, path in sources.items():
        for text in docs(tally, cache) if path is None else _texts(Path(path).expanduser(), field, tally):
            tally.domain = name
            yield text


def _texts(path: Path, field: str, tally: Tally) -> Iterator[str]:
    for file in found_files(path):
        yield from texts_of(file, field, tally)
