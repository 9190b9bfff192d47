"""The same pieces as a teacher with another tokenizer reads them.

Documents are tokenised whole by both. A piece of the student covers some bytes of its document; the teacher's piece is
its tokens that lie within them, so both see the same text before every byte, and a document's beginning is marked for
each as its own tokenizer does it. A teacher's token that reaches over the edge of a piece is in neither neighbour: the
few bytes that it shares with the piece are read by the student alone. With equal tokenizers the two pieces are equal.

Left out on purpose: tokenising each piece anew, which would give the teacher tokens that it never sees inside a text.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from distill.data.encode import Encoded, Marks, encode
from distill.data.spelling import NOWHERE, byte_ends, spelling


@dataclass(frozen=True)
class BesidePiece:
    """The teacher's side of a piece, and where both sides' targets lie: bytes of the document.

    Attributes:
        inputs, targets: (m,) int32, the teacher's; m may be 0.
        starts, ends: (n,) int64, of the student's targets.
        teacher_starts, teacher_ends: (m,) int64.
        bytes: UTF-8 bytes that the teacher's targets spell.
    """

    inputs: np.ndarray
    targets: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    teacher_starts: np.ndarray
    teacher_ends: np.ndarray
    bytes: int


@dataclass(frozen=True)
class Side:
    """A split in one tokenizer's tokens, with their places in bytes of their document.

    Attributes:
        encoded: documents, marks included.
        starts, ends: (tokens,) int64, ``NOWHERE`` inside a character.
        known_starts, known_ends: the same, where ``NOWHERE`` is replaced by the next place that is known: they rise.
    """

    encoded: Encoded
    starts: np.ndarray
    ends: np.ndarray
    known_starts: np.ndarray
    known_ends: np.ndarray

    def within(self, document: int, begin: int, stop: int) -> tuple[int, int]:
        """The tokens of a document that lie within bytes: the first, and the one behind the last."""
        first, last = (int(bound) for bound in self.encoded.bounds[document : document + 2])
        low = np.searchsorted(self.known_starts[first:last], begin)
        high = np.searchsorted(self.known_ends[first:last], stop, side="right")
        return first + int(low), first + max(int(high), int(low))


@dataclass(frozen=True)
class Beside:
    """A split in both tokenizers' tokens."""

    student: Side
    teacher: Side

    def piece(self, start: int, length: int) -> BesidePiece:
        """Beside the student's piece of ``length`` inputs from token ``start`` on."""
        ours, theirs = self.student, self.teacher
        document = int(np.searchsorted(ours.encoded.bounds, start, side="right")) - 1
        after = slice(start + 1, start + length + 1)
        begin, stop = theirs.within(document, int(ours.known_starts[start]), int(ours.ends[after].max()))
        targets = slice(min(begin + 1, stop), stop)
        return BesidePiece(
            inputs=theirs.encoded.ids[begin : max(stop - 1, begin)],
            targets=theirs.encoded.ids[targets],
            starts=ours.starts[after],
            ends=ours.ends[after],
            teacher_starts=theirs.starts[targets],
            teacher_ends=theirs.ends[targets],
            bytes=int(theirs.encoded.bytes[targets].sum()),
        )

    def longest(self, starts: np.ndarray, lengths: np.ndarray) -> int:
        """The most inputs of the teacher's beside any of these pieces."""
        sides = (self.piece(int(start), int(length)) for start, length in zip(starts, lengths, strict=True))
        return max((len(side.inputs) for side in sides), default=0)


def beside(
    texts: Iterable[str],
    encoded: Encoded,
    tokenizer: PreTrainedTokenizerBase,
    teacher: PreTrainedTokenizerBase,
) -> Beside:
    """Tokenise the documents of a split for the teacher, and find where every token of both lies.

    Args:
        texts: the documents of ``encoded``, in its order.
        encoded: in the student's tokens.
        tokenizer: the student's.
        teacher: the teacher's.
    """
    kept = [text for text, _ in zip(texts, range(len(encoded.lengths)), strict=False)]
    theirs = encode(kept, teacher, Marks.of(teacher))
    return Beside(_side(kept, encoded, tokenizer), _side(kept, theirs, teacher))


def _side(texts: list[str], encoded: Encoded, tokenizer: PreTrainedTokenizerBase) -> Side:
    marks, spelt = Marks.of(tokenizer), spelling(tokenizer)
    before, after = marks.begin is not None, marks.end is not None
    starts, ends = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    known_starts, known_ends = list(starts), list(ends)
    for index, text in enumerate(texts):
        ids = encoded.ids[encoded.bounds[index] + before : encoded.bounds[index + 1] - after]
        inner = byte_ends(text, ids.tolist(), spelt, _offsets(text, ids, tokenizer, spelt))
        end = [len(text.encode("utf-8")) + 1] if after else []
        ends.append(np.concatenate([[0] if before else [], inner, end]).astype(np.int64))
        starts.append(np.concatenate([[0], ends[-1][:-1]])[: len(ends[-1])])
        known_starts.append(_known(starts[-1]))
        known_ends.append(_known(ends[-1]))
    return Side(encoded, *(np.concatenate(parts) for parts in (starts, ends, known_starts, known_ends)))


def _offsets(text: str, ids: np.ndarray, tokenizer: PreTrainedTokenizerBase, spelt: tuple) -> np.ndarray:
    """(tokens, 2) characters of each token; asked for only if the spelling does not tell."""
    spelled = b"".join(spelt[index] or b"" for index in ids.tolist())
    if spelled.removeprefix(b" ") == text.encode("utf-8").removeprefix(b" "):
        return np.zeros((len(ids), 2), np.int64)
    found = tokenizer(
        text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
    )
    return np.asarray(found["offset_mapping"], dtype=np.int64).reshape(-1, 2)


def _known(places: np.ndarray) -> np.ndarray:
    """Places that are nowhere moved to the next that is somewhere, so that they rise."""
    later = np.where(places == NOWHERE, np.iinfo(np.int64).max, places)
    return np.minimum.accumulate(later[::-1])[::-1]
