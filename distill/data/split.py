"""Which documents are trained on, which select the best point, and which are reported.

A document's place depends on its own hash alone: not on its neighbours, its file or a seed. So a test document of
today is never a training document of tomorrow's larger corpus, and teacher and student agree on it without talking.

Source: consistent hashing of the document; the first 8 bytes of its sha256 choose the split, the next 8 the share.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from distill.data.corpus import Corpus, Document
from distill.errors import BadInput

OUTSIDE_SHARE = "outside_share"


@dataclass(frozen=True)
class Split:
    """The documents of a corpus, each in one place.

    Attributes:
        train: what is trained on, in the corpus's order.
        pool: the training documents of the full share, ``train`` among them: what a tokenizer is trained on.
        validation: selects the best point of a training, in the order of the hashes.
        test: reported, in the order of the hashes: a beginning of it is a fair sample of the whole.
    """

    train: tuple[Document, ...]
    pool: tuple[Document, ...]
    validation: tuple[Document, ...]
    test: tuple[Document, ...]

    @property
    def dropped(self) -> Mapping[str, int]:
        left = len(self.pool) - len(self.train)
        return {OUTSIDE_SHARE: left} if left else {}


def split_by_hash(corpus: Corpus, validation: float, test: float, share: float = 1.0) -> Split:
    """Give every document its place.

    Formula: u = first 8 bytes / 2^64, v = next 8 bytes / 2^64; test if u < test; validation if u < test + validation;
    else train, and within the share if v < share. So a smaller share is a subset of every larger one.

    Args:
        validation: expected fraction of the documents.
        test: expected fraction of the documents.
        share: expected fraction of the training documents to train on; changes nothing else.

    Raises:
        BadInput: the fractions leave nothing to train on, or a split that was asked for got no document.
    """
    if test + validation >= 1:
        asked = f"{validation:g} + {test:g}"
        raise BadInput(
            "data.validation + data.test", "nothing is left to train on", value=asked, remedy="use less than 1"
        )
    first = [(_fraction(document.digest[:8]), document) for document in corpus.documents]
    pool = tuple(document for u, document in first if u >= test + validation)
    found = Split(
        train=tuple(document for document in pool if _fraction(document.digest[8:16]) < share),
        pool=pool,
        validation=_by_hash(document for u, document in first if test <= u < test + validation),
        test=_by_hash(document for u, document in first if u < test),
    )
    for name, documents, asked in (
        ("share", found.train, share),
        ("validation", found.validation, validation),
        ("test", found.test, test),
    ):
        if asked > 0 and not documents:
            reason = f"none of the {len(corpus.documents)} documents fell into it"
            raise BadInput(f"data.{name}", reason, value=asked, remedy="give more documents or a larger fraction")
    return found


def _fraction(digest: bytes) -> float:
    return int.from_bytes(digest, "big") / 2**64


def _by_hash(documents: Iterable[Document]) -> tuple[Document, ...]:
    return tuple(sorted(documents, key=lambda document: document.digest))
