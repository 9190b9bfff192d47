"""Which bytes a token spells: what makes tokens of two tokenizers comparable, by string and by place in a text.

Read off the tokenizer's own files: byte-level BPEs write a byte as a printable character, SentencePiece writes a space
as ▁ and a byte as <0x0A>. Where what the tokens spell is not the text (a normaliser changed it, or the tokens of some
other family spell it otherwise), places are taken from the characters that the tokenizer says it covered; then a token
that ends inside a character has no place, because no one can tell at which of its bytes it ends, and neither has one
before characters that no token covers, unless they are white space, which counts for the token behind it.
"""

import json
from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

NOWHERE = -1
END_OF_DOCUMENT = b"\0end"
"""Stands for the mark that documents end with, which spells no byte. No document holds a NUL."""


def spelling(tokenizer: PreTrainedTokenizerBase, end: int | None = None) -> tuple[bytes | None, ...]:
    """What each id spells, from 0 to the highest that the tokenizer knows; None for special tokens and unused ids.

    Args:
        end: the id of the mark that documents end with, told as ``END_OF_DOCUMENT``.
    """
    vocabulary = tokenizer.get_vocab()
    told: list[bytes | None] = [None] * (max(vocabulary.values()) + 1)
    kinds = _decoders(tokenizer)
    for token, index in vocabulary.items():
        told[index] = _byte_level(token) if "ByteLevel" in kinds else _sentence_piece(token, kinds)
    for index, added in tokenizer.added_tokens_decoder.items():
        told[index] = None if added.special else added.content.encode("utf-8")
    if end is not None:
        told[end] = END_OF_DOCUMENT
    return tuple(told)


def byte_ends(text: str, ids: Sequence[int], spelt: Sequence[bytes | None], offsets: np.ndarray) -> np.ndarray:
    """(tokens,) int64 the byte of ``text`` at which each token ends; ``NOWHERE`` if it ends inside a character and its
    bytes are not known.

    Args:
        text: a document.
        ids: its tokens, without marks.
        spelt: from ``spelling``.
        offsets: (tokens, 2) characters that each covers; read only where the spelling is not the text.
    """
    pieces = [spelt[index] or b"" for index in ids]
    whole, spelled = text.encode("utf-8"), b"".join(pieces)
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    if spelled == whole:
        return ends
    if spelled == b" " + whole:  # SentencePiece puts a space before a text
        return ends - 1
    return _ends_by_characters(text, offsets)


def _ends_by_characters(text: str, offsets: np.ndarray) -> np.ndarray:
    if not len(offsets):
        return np.zeros(0, np.int64)
    sizes = np.fromiter((len(character.encode("utf-8")) for character in text), np.int64, len(text))
    upto = np.concatenate([[0], np.cumsum(sizes)])  # (characters + 1,)
    ends = np.maximum.accumulate(offsets[:, 1])
    following = np.append(offsets[1:, 0], len(text))  # (tokens,) where the next token begins
    unknown = [after < end or bool(text[end:after].strip()) for end, after in zip(ends, following, strict=True)]
    return np.where(unknown, NOWHERE, upto[ends])


def _decoders(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Names of the decoders of a tokenizer, nested ones too."""
    found: set[str] = set()
    open_nodes = [json.loads(tokenizer.backend_tokenizer.to_str())["decoder"]]  # type: ignore[attr-defined]  # fast ones
    while open_nodes:
        node = open_nodes.pop()
        if node:
            found.add(node["type"])
            open_nodes += node.get("decoders", [])
    return found


def _alphabet() -> dict[str, int]:
    """How byte-level BPEs write bytes: printable ones of Latin-1 as themselves, the others from U+0100 on.

    Source: Radford et al. 2019 (GPT-2); as documented for the ByteLevel pre-tokenizer of ``tokenizers``.
    """
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(0x100 + place): byte for place, byte in enumerate(rest)}


ALPHABET = _alphabet()


def _byte_level(token: str) -> bytes:
    if all(character in ALPHABET for character in token):
        return bytes(ALPHABET[character] for character in token)
    return token.encode("utf-8")


def _sentence_piece(token: str, kinds: set[str]) -> bytes:
    if "ByteFallback" in kinds and len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return (token.replace("▁", " ") if kinds & {"Metaspace", "Replace", "Sequence"} else token).encode("utf-8")
