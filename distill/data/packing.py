"""Documents -> pieces -> rows.

A document of n tokens (marks included) has n - 1 tokens that something comes before. It is cut into pieces of at most
``sequence_length`` inputs, whose targets are the same tokens one step on: the last input of a piece predicts the first
input of the next. So no token is lost at a cut, every token but the first is supervised exactly once, and every
input of a piece predicts something. What a cut costs is context: a piece begins without what came before it.

Pieces share rows of ``sequence_length`` tokens. They do not see each other, because their position ids begin again at 0
(``isolation`` checks that a model honours it). Best-fit decreasing: the longest piece first, into the fullest row
that takes it; nothing is random.

Left out on purpose: truncation (no token is ever cut away) and overlapping windows.

Source: Johnson 1973, near-optimal bin packing; for language models Ding et al. 2024, arXiv:2404.10830.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from distill.data.beside import Beside, BesidePiece
from distill.data.encode import Encoded


@dataclass(frozen=True)
class Piece:
    """A sample: tokens that see each other.

    Attributes:
        inputs: (n,) int32.
        targets: (n,) int32, the token after each input.
        bytes: UTF-8 bytes that the targets spell.
        beside: the same text in the tokens of a teacher with another tokenizer.
        domain: where its document is from; no part of its hash.
        weight: of each of its tokens in every loss.
        document: its number in the split; None where a sample is a document of its own.
    """

    inputs: np.ndarray
    targets: np.ndarray
    bytes: int
    beside: BesidePiece | None = None
    domain: str = ""
    document: int | None = None
    weight: float = 1.0

    @property
    def hash(self) -> str:
        """sha256 of the input ids as little-endian 32-bit integers: what a teacher's answer depends on."""
        digest = hashlib.sha256(self.inputs.astype("<i4").tobytes())
        if self.beside is not None:
            digest.update(self.beside.inputs.astype("<i4").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Pieces:
    """Where the pieces of a split lie in its tokens.

    Attributes:
        encoded: the documents.
        starts: (pieces,) int64, place of the first input in ``encoded.ids``.
        lengths: (pieces,) int64, inputs, from 1 to ``sequence_length``.
        documents: how many documents have a piece here.
        unsupervised: documents of a single token: nothing in them can be predicted.
        beside: the documents in the tokens of a teacher with another tokenizer.
        owners: (pieces,) int64, the document of each.
        domains: of every document; empty where nobody says.
        weights: the same, of their tokens in every loss; empty for 1.
    """

    encoded: Encoded
    starts: np.ndarray
    lengths: np.ndarray
    documents: int
    unsupervised: int
    beside: Beside | None = None
    owners: np.ndarray | None = None
    domains: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Piece:
        start, length = int(self.starts[index]), int(self.lengths[index])
        ids, spelled = self.encoded.ids, self.encoded.bytes
        after = slice(start + 1, start + length + 1)
        beside = None if self.beside is None else self.beside.piece(start, length)
        document = None if self.owners is None else int(self.owners[index])
        domain = self.domains[document] if self.domains and document is not None else ""
        weight = self.weights[document] if self.weights and document is not None else 1.0
        shown, count = ids[start : start + length], int(spelled[after].sum())
        return Piece(shown, ids[after], count, beside, domain, document, weight)

    @property
    def tokens(self) -> int:
        """Supervised tokens: N of the whole split."""
        return int(self.lengths.sum())

    @property
    def bytes(self) -> int:
        """UTF-8 bytes that all targets spell."""
        upto = np.concatenate([[0], np.cumsum(self.encoded.bytes, dtype=np.int64)])
        return int((upto[self.starts + self.lengths + 1] - upto[self.starts + 1]).sum())


def cut(encoded: Encoded, sequence_length: int, enough: int | None = None) -> Pieces:
    """Cut documents into pieces, in order.

    Args:
        encoded: documents with their marks.
        sequence_length: inputs of a piece at most.
        enough: keep the first pieces that together hold this many supervised tokens; all of them if None.
    """
    supervised = encoded.lengths - 1  # (documents,)
    counts = np.maximum(-(-supervised // sequence_length), 0)
    owners = np.repeat(np.arange(len(counts)), counts)  # (pieces,) document of each
    within = (np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)) * sequence_length
    starts = encoded.bounds[owners] + within
    lengths = np.minimum(supervised[owners] - within, sequence_length)
    if enough is not None:
        kept = int(np.searchsorted(np.cumsum(lengths), enough)) + 1
        owners, starts, lengths = owners[:kept], starts[:kept], lengths[:kept]
    seen, alone = len(np.unique(owners)), int((supervised <= 0).sum())
    return Pieces(encoded, starts, lengths, seen, alone, owners=owners)


class Rows(Dataset[tuple[Piece, ...]]):
    """Rows of a split, each a few pieces; ``rows[i]`` are those of row i, in their order.

    Args:
        pieces: of the split.
        members: (pieces,) int64, piece indices, row after row.
        bounds: (R + 1,) int64, where each row begins in ``members``.
    """

    def __init__(self, pieces: Pieces, members: np.ndarray, bounds: np.ndarray) -> None:
        self.pieces, self.members, self.bounds = pieces, members, bounds

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, index: int) -> tuple[Piece, ...]:
        return tuple(self.pieces[int(i)] for i in self.members[self.bounds[index] : self.bounds[index + 1]])


def pack(pieces: Pieces, sequence_length: int) -> Rows:
    """Rows of at most ``sequence_length`` tokens by best-fit decreasing."""
    rows = best_fit(pieces.lengths.tolist(), sequence_length)
    members = np.asarray([index for row in rows for index in row], dtype=np.int64)
    return Rows(pieces, members, np.cumsum([0, *map(len, rows)], dtype=np.int64))


def lay(pieces: Pieces) -> Rows:
    """One piece a row."""
    return Rows(pieces, np.arange(len(pieces)), np.arange(len(pieces) + 1))


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of the pieces of each row. Ties go to the earlier piece and to the row filled last."""
    rows: list[list[int]] = []
    open_rows: list[list[int]] = [[] for _ in range(capacity + 1)]  # by free tokens
    free = 0  # bit f is set if a row with f free tokens is open: the best fit is one bit search away
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[index]
        fitting = free >> length
        if fitting:
            left = length + (fitting & -fitting).bit_length() - 1
            row = open_rows[left].pop()
            if not open_rows[left]:
                free ^= 1 << left
        else:
            left, row = capacity, len(rows)
            rows.append([])
        rows[row].append(index)
        left -= length
        if left:
            open_rows[left].append(row)
            free |= 1 << left
    return rows
