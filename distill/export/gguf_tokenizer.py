"""A byte-level BPE tokenizer as GGUF metadata: what llama.cpp needs to cut a text into the same tokens.

llama.cpp does not read a tokenizer's rules but their name (``tokenizer.ggml.pre``), so a tokenizer whose rules have no
name there is refused: a file that cuts text in another way is a worse model without a message.

Left out on purpose: SentencePiece and WordPiece vocabularies. llama.cpp's own converter knows those of known models.
"""

import json
from dataclasses import dataclass
from typing import Any

from gguf import TokenType
from transformers import PreTrainedTokenizerBase

from distill.errors import BadInput

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
BY_REGEX = {_LLAMA3: "llama-bpe", _QWEN2: "qwen2"}


@dataclass(frozen=True)
class GgufTokenizer:
    """What is written.

    Attributes:
        pre: llama.cpp's name of the rules that cut a text before the merges.
        tokens: V spellings in the byte-level alphabet, by id.
        types: of each: normal, control, user-defined, unused.
        merges: in order, halves parted by a space.
        add_bos: whether the tokenizer begins a text with its beginning token by itself.
    """

    pre: str
    tokens: list[str]
    types: list[TokenType]
    merges: list[str]
    add_bos: bool


def gguf_tokenizer(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> GgufTokenizer:
    """
    Args:
        tokenizer: a fast one.
        vocabulary: V, rows of the embedding as written; ids without a token are marked unused.

    Raises:
        BadInput: it is no byte-level BPE, or its rules have no name in llama.cpp.
    """
    told = _described(tokenizer)
    spelled = {number: token for token, number in tokenizer.get_vocab().items()}
    added = {one["id"]: one for one in told["added_tokens"]}
    types = [_type(number, spelled, added) for number in range(vocabulary)]
    merges = [one if isinstance(one, str) else " ".join(one) for one in told["model"]["merges"]]
    tokens = [spelled.get(number, f"[UNUSED{number}]") for number in range(vocabulary)]
    begun = tokenizer("a").input_ids
    add_bos = tokenizer.bos_token_id is not None and begun[:1] == [tokenizer.bos_token_id]
    return GgufTokenizer(_pre(told), tokens, types, merges, add_bos)


def _described(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    if not tokenizer.is_fast:
        raise _refused("has no tokenizer.json")
    backend: Any = tokenizer
    told = json.loads(backend.backend_tokenizer.to_str())
    if told["model"]["type"] != "BPE" or told["model"].get("byte_fallback"):
        raise _refused("is no byte-level BPE")
    if told["normalizer"] is not None:
        raise _refused("changes the text before it cuts it")
    return told


def _pre(told: dict[str, Any]) -> str:
    """llama.cpp's name for the pre-tokenizer."""
    steps = told["pre_tokenizer"] or {}
    steps = steps.get("pretokenizers", [steps])
    kinds = [step.get("type") for step in steps]
    if kinds and kinds[-1] == "ByteLevel" and not steps[-1]["add_prefix_space"]:
        if kinds == ["ByteLevel"] and steps[0]["use_regex"]:
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"] and steps[1]["use_regex"]:
            return "smollm"
        if kinds == ["Split", "ByteLevel"] and not steps[1]["use_regex"]:
            name = BY_REGEX.get(steps[0]["pattern"].get("Regex"))
            if name is not None:
                return name
    raise _refused(f"cuts text by rules ({', '.join(map(str, kinds)) or 'none'}) that have no name in llama.cpp here")


def _type(number: int, spelled: dict[int, str], added: dict[int, dict[str, Any]]) -> TokenType:
    if number not in spelled:
        return TokenType.UNUSED
    if number in added:
        return TokenType.CONTROL if added[number]["special"] else TokenType.USER_DEFINED
    return TokenType.NORMAL


def _refused(reason: str) -> BadInput:
    return BadInput("export", f"its tokenizer {reason}", value="gguf", remedy="use export=onnx or export=huggingface")
