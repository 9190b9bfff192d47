"""One split, tokenised and packed, with its account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from transformers import PreTrainedTokenizerBase

from distill.data.corpus import Document
from distill.data.domains import Domains
from distill.data.encode import Marks, encode
from distill.data.facts import SplitFacts
from distill.data.packing import Pieces, Rows, cut, lay, pack

SplitName = Literal["train", "validation", "test"]
UNSUPERVISED, BEYOND = "nothing_supervised", "beyond_evaluation_tokens"


@dataclass(frozen=True)
class Prepared:
    """Rows to make batches of; ``dropped`` counts the documents of the split that are in no row, by reason."""

    rows: Rows
    facts: SplitFacts
    dropped: Mapping[str, int]


def prepared(
    documents: Sequence[Document],
    tokenizer: PreTrainedTokenizerBase,
    marks: Marks,
    sequence_length: int,
    packing: bool,
    enough: int | None = None,
    domains: Domains | None = None,
) -> Prepared:
    """Tokenise the documents of a split and lay them into rows.

    Args:
        enough: stop with the piece that reaches this many supervised tokens; None takes all.
        domains: what is made of them, in the training split.
    """
    encoded = encode((document.text for document in documents), tokenizer, marks, enough)
    pieces = replace(cut(encoded, sequence_length, enough), domains=tuple(one.domain for one in documents))
    rows = pack(pieces, sequence_length) if packing else lay(pieces)
    rows = rows if domains is None else domains.laid(rows, sequence_length, packing)
    beyond = len(documents) - pieces.documents - pieces.unsupervised
    dropped = {UNSUPERVISED: pieces.unsupervised, BEYOND: beyond}
    facts = _facts(pieces, rows, sequence_length)
    return Prepared(rows, facts, {reason: count for reason, count in dropped.items() if count})


def _facts(pieces: Pieces, rows: Rows, sequence_length: int) -> SplitFacts:
    lengths = pieces.encoded.lengths
    places = len(rows) * sequence_length
    return SplitFacts(
        documents=pieces.documents,
        pieces=len(pieces),
        rows=len(rows),
        tokens=pieces.tokens,
        bytes=pieces.bytes,
        fill=pieces.tokens / places if places else 0.0,
        documents_cut=int((lengths - 1 > sequence_length).sum()),
        tokens_truncated=0,
        median_tokens=int(np.median(lengths)) if len(lengths) else 0,
        longest_tokens=int(lengths.max()) if len(lengths) else 0,
        domains=_by_domain(rows),
    )


def _by_domain(rows: Rows) -> dict[str, int]:
    """Supervised tokens of each domain in all rows; nothing where there is but one."""
    pieces = rows.pieces
    if len(set(pieces.domains)) < 2 or pieces.owners is None:
        return {}
    each = np.zeros(len(pieces.domains), dtype=np.int64)  # (documents,)
    np.add.at(each, pieces.owners[rows.members], pieces.lengths[rows.members])
    found: dict[str, int] = {}
    for name, count in zip(pieces.domains, each.tolist(), strict=True):
        found[name] = found.get(name, 0) + count
    return {name: count for name, count in sorted(found.items()) if count}
