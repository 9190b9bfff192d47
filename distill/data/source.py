"""Where pictures and sounds come from: anything that yields items, each a file's bytes (or its path) and its texts.

A user's folder, JSONL, Parquet or hub data set is read by ``media.py``; an experiment brings a source of its own. Left
out on purpose: decoding, which belongs to the modality.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distill.data.corpus import Document, Tally
from distill.errors import BadInput, ResourceStop

UNREADABLE, NOWHERE, NO_TEXT = "unreadable", "file_missing", "no_text"
"""Why an item is no sample: its file cannot be decoded, is not there, or nothing is said about it."""

NAMED = 5
"""Unreadable files whose names are told; the rest is counted."""


@dataclass(frozen=True)
class Item:
    """One row.

    Attributes:
        place: ``file:line`` or the file's name, for messages.
        content: the encoded file, or where it lies.
        texts: by field: what was said, asked, described.
        domain: which part of a set it is from.
    """

    place: str
    content: bytes | Path
    texts: Mapping[str, str]
    domain: str = ""

    def read(self) -> bytes:
        """
        Raises:
            OSError: the file is gone or may not be read.
        """
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


class Source(ABC):
    """A finite, fixed sequence of items."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What a person typed to get it."""

    @abstractmethod
    def items(self, tally: Tally) -> Iterator[Item]:
        """Every item, in a fixed order; rows that give none are counted in the tally, by reason."""


@dataclass
class Gathered:
    """What a source came to: items by the sha256 of their file, the account of its rows, the files that are broken.

    Attributes:
        groups: digest of the file -> items about it. A file stands in one split with all that is said about it.
        unreadable: places of the first files that could not be decoded, with the reason.
    """

    groups: dict[bytes, list[Item]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    unreadable: list[str] = field(default_factory=list)

    @property
    def documents(self) -> tuple[Document, ...]:
        """A document for each file: what a split by hash reads."""
        return tuple(Document("", digest, items[0].domain) for digest, items in self.groups.items())

    @property
    def sha256(self) -> str:
        """Of every file and all that is said about it."""
        told = hashlib.sha256()
        for digest, items in self.groups.items():
            told.update(digest)
            for item in items:
                told.update("\0".join(f"{key}={text}" for key, text in sorted(item.texts.items())).encode())
        return told.hexdigest()

    def lines(self) -> list[str]:
        """The files that could not be read, for a person."""
        return [f"unreadable: {one}" for one in self.unreadable]


def gathered(source: Source, decode: "Decoder", wanted: Iterable[str]) -> Gathered:
    """Read all items of a source; each file is decoded once, so that a broken one is named before a run begins.

    Args:
        decode: raises ``ValueError`` or ``OSError`` at bytes that it cannot make anything of.
        wanted: fields that must hold text.

    Raises:
        BadInput: nothing is left.
        ResourceStop: a file may not be read.
    """
    found, needed = Gathered(), tuple(wanted)
    broken: dict[bytes, str] = {}
    for item in source.items(found.tally):
        if any(not item.texts.get(name, "").strip() for name in needed):
            found.tally.drop(NO_TEXT)
            continue
        try:
            content = item.read()
        except FileNotFoundError:
            _told(found, item, NOWHERE, "no such file")
            continue
        except OSError as problem:
            raise ResourceStop(item.place, f"cannot be read ({problem.strerror})") from None
        digest = hashlib.sha256(content).digest()
        if digest not in found.groups and digest not in broken:
            broken |= _checked(digest, content, decode)
        if digest in broken:
            _told(found, item, UNREADABLE, broken[digest])
            continue
        found.groups.setdefault(digest, []).append(item)
    if not found.groups:
        why = ", ".join(f"{count} {reason}" for reason, count in found.tally.dropped.items()) or "nothing in it"
        first = f"; {found.unreadable[0]}" if found.unreadable else ""
        raise BadInput(
            source.name, f"no sample left of {found.tally.rows} rows ({why}{first})", remedy="check the data"
        )
    return found


class Decoder(ABC):
    """Bytes of a file -> whatever a modality makes of them."""

    @abstractmethod
    def __call__(self, content: bytes) -> object:
        """
        Raises:
            ValueError, OSError: it is none, or broken.
        """


def _checked(digest: bytes, content: bytes, decode: Decoder) -> dict[bytes, str]:
    try:
        decode(content)
    except (ValueError, OSError, SyntaxError) as problem:  # Pillow calls a broken PNG a SyntaxError
        return {digest: (str(problem).splitlines() or [type(problem).__name__])[0][:120]}
    return {}


def _told(found: Gathered, item: Item, reason: str, why: str) -> None:
    found.tally.drop(reason)
    if len(found.unreadable) < NAMED:
        found.unreadable.append(f"{item.place} ({why})")
