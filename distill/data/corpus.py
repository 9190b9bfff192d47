"""A corpus: documents that are all different, and the account of every row that did not become one.

A reader (``python_docs``, ``files``, ``hub``) walks over rows and tells the tally how many it saw; what it hands on
is counted here; the two counts must agree. Left out on purpose: near-duplicate search, language filters, quality
scores. They change what a result means and belong into a data set's own recipe.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from distill.errors import BadInput

NULL, EMPTY, SHORT, DUPLICATE = "null", "empty", "short", "duplicate"
"""Why a row is no document: it has no text, only white space, too little of it, or the text of an earlier row."""

LONGEST = 2**25
"""Characters of a document, bytes of a line: 32 MiB. Beyond it a file is broken or binary, or wants to be cut."""


@dataclass
class Tally:
    """What a reader saw, counted while it reads: rows in, and rows dropped by reason."""

    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    domain: str = ""
    """Where the reader is: what it hands on now is of this domain."""

    def drop(self, reason: str) -> None:
        self.dropped[reason] += 1


@dataclass(frozen=True)
class Document:
    """A text, the sha256 of its UTF-8 bytes (the hash decides in which split it stands), and where it is from."""

    text: str
    digest: bytes
    domain: str = ""


@dataclass(frozen=True)
class Corpus:
    """Different documents in the order they were found; ``rows = len(documents) + sum(dropped.values())``."""

    source: str
    documents: tuple[Document, ...]
    rows: int
    dropped: Mapping[str, int]

    @cached_property
    def sha256(self) -> str:
        """Of the documents' hashes in order: equal exactly when every character and the order are."""
        return hashlib.sha256(b"".join(document.digest for document in self.documents)).hexdigest()


def gather(source: str, texts: Iterable[str], tally: Tally, shortest: int = 0) -> Corpus:
    """Make a corpus of what a reader yields; exact duplicates, blank and too short texts are dropped and counted.

    Args:
        source: what a person typed to get it; named in errors and reports.
        texts: one a row, already checked by ``checked``.
        tally: filled by the reader while it is being read.
        shortest: characters that a document needs.

    Raises:
        BadInput: no document is left.
    """
    documents: dict[bytes, Document] = {}
    for text in texts:
        digest = hashlib.sha256(text.encode("utf-8")).digest()
        if not text.strip():
            tally.drop(EMPTY)
        elif len(text) < shortest:
            tally.drop(SHORT)
        elif digest in documents:
            tally.drop(DUPLICATE)
        else:
            documents[digest] = Document(text, digest, tally.domain)
    dropped = dict(sorted(tally.dropped.items()))
    assert tally.rows == len(documents) + sum(dropped.values()), "a reader lost count of its rows"
    if not documents:
        why = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "nothing in it"
        raise BadInput(source, f"no document left of {tally.rows} rows ({why})", remedy="give it some text")
    return Corpus(source, tuple(documents.values()), tally.rows, dropped)


def checked(place: str, text: str) -> str:
    """The same text, if it can be a document; the error names the place and never shows the text.

    Raises:
        BadInput: it holds NUL, half of a surrogate pair, or more than ``LONGEST`` characters.
    """
    if len(text) > LONGEST:
        raise BadInput(place, f"a text of more than {LONGEST:,} characters", remedy="cut it into documents")
    if "\0" in text:
        raise BadInput(place, "a NUL character: this looks like binary data", remedy="remove the row")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput(place, "half of a surrogate pair, which is no text", remedy="remove the row") from None
    return text
