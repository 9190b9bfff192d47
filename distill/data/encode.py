"""Documents as token ids, one flat array, with the bytes that every token spells.

Where a document begins and ends. The end mark stands after every document of a tokenizer that has one. The beginning
mark stands before it if the tokenizer itself puts it there (Llama 3, Gemma), or if beginning and end are one token
(GPT-2, SmolLM2, ``TrainedBPE``), so that the first token of a document is predicted too. A beginning mark of another
kind (``<|im_start|>`` of a chat model) is not put before plain text, which the model never saw; the first token of a
document has then nothing to be predicted from, and is the only one that is never supervised.

Special tokens that a text spells out ("<|endoftext|>" in a document about tokenizers) are read as the text they are.

Left out on purpose: a token that spells half a character. Its bytes count for the first token of that character, so
that sums over a document are exact.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from transformers import PreTrainedTokenizerBase

from distill.data.tokenizer import adds_beginning

AT_ONCE = 1_000
"""Documents a call of the tokenizer: enough for its threads, few enough for memory."""


@dataclass(frozen=True)
class Marks:
    """The ids around a document; ``padding`` may equal ``end``, since padding is told by place and not by id."""

    begin: int | None
    end: int | None
    padding: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "Marks":
        begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
        begin = begin if begin is not None and (begin == end or adds_beginning(tokenizer)) else None
        padding = next((x for x in (tokenizer.pad_token_id, end) if x is not None), 0)
        return cls(begin, end, padding)  # type: ignore[arg-type]  # transformers types an id as possibly a list


@dataclass(frozen=True)
class Encoded:
    """Documents one after the other, marks included.

    Attributes:
        ids: (tokens,) int32.
        bytes: (tokens,) int32, UTF-8 bytes that each token spells; 0 for marks.
        bounds: (documents + 1,) int64, where each document begins in ``ids``.
    """

    ids: np.ndarray
    bytes: np.ndarray
    bounds: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(documents,) tokens of each."""
        return np.diff(self.bounds)


def encode(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, marks: Marks, enough: int | None = None
) -> Encoded:
    """Tokenise documents; stop with the document that reaches ``enough`` predictable tokens, if given."""
    ids: list[np.ndarray] = []
    spelled: list[np.ndarray] = []
    total = 0
    before = [] if marks.begin is None else [marks.begin]
    after = [] if marks.end is None else [marks.end]
    for inner, inner_bytes in _encoded(iter(texts), tokenizer):
        ids.append(np.concatenate([before, inner, after]).astype(np.int32))
        spelled.append(np.concatenate([[0] * len(before), inner_bytes, [0] * len(after)]).astype(np.int32))
        total += len(ids[-1]) - 1
        if enough is not None and total >= enough:
            break
    bounds = np.cumsum([0, *(len(one) for one in ids)], dtype=np.int64)
    empty = [np.zeros(0, np.int32)]
    return Encoded(np.concatenate(ids or empty), np.concatenate(spelled or empty), bounds)


def _encoded(texts: Iterator[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    while some := list(islice(texts, AT_ONCE)):
        found = tokenizer(
            some,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        for text, ids, offsets in zip(some, found["input_ids"], found["offset_mapping"], strict=True):
            yield np.asarray(ids, dtype=np.int32), bytes_of_tokens(text, offsets)


def bytes_of_tokens(text: str, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """(tokens,) UTF-8 bytes of each, from the characters that it covers.

    Formula: b_i = B(max_{j<=i} end_j) - B(max_{j<i} end_j), where B(c) is the bytes of the first c characters; what no
    token covers counts for the next one, or for the last. So the sum is the bytes of the text for any tokenizer.
    """
    if not len(offsets):
        return np.zeros(0, np.int32)
    ends = np.maximum.accumulate(np.fromiter((end for _, end in offsets), np.int64, len(offsets)))
    upto = ends if text.isascii() else _bytes_upto(text)[ends]
    spelled = np.diff(upto, prepend=0)
    spelled[-1] += len(text.encode("utf-8")) - upto[-1]
    return spelled.astype(np.int32)


def _bytes_upto(text: str) -> np.ndarray:
    """(characters + 1,) bytes of the first c characters."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    sizes = 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000)
    return np.concatenate([[0], np.cumsum(sizes)])
