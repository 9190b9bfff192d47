"""Whisper in CTranslate2's format (what faster-whisper and its packages carry), turned into transformers' own.

The file is a list of named arrays; the two formats differ in names and in that CTranslate2 keeps the projections of one
input in one matrix. Special tokens are looked up in the tokenizer that lies beside it. Left out on purpose: other
models than Whisper, and weights of 8 bits: a teacher's word must be exact.

Source: the format as its readers have it, https://github.com/OpenNMT/CTranslate2 (model specification, version 6); the
model: Radford et al. 2022, Whisper, https://arxiv.org/abs/2212.04356.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import torch
from torch import Tensor

from distill.errors import BadInput

if TYPE_CHECKING:
    from transformers import GenerationConfig, WhisperConfig, WhisperTokenizer

WEIGHTS = "model.bin"
KINDS = {0: "<f4", 4: "<f2"}
"""Of numbers that are read; 1, 2, 3 are integers of 8, 16, 32 bits."""
END, START = "<|endoftext|>", "<|startoftranscript|>"
ENGLISH_END = 50_256
"""Id of the end in models of English alone (GPT-2's vocabulary); their tokenizers list all languages' marks too."""
WIDTH_OF_A_HEAD = 64
"""In every Whisper that was published; the format does not tell how many heads there are."""


def is_one(folder: Path) -> bool:
    """Whether a folder holds such a file, and is no folder of transformers'."""
    if not (folder / WEIGHTS).is_file() or not (folder / "config.json").is_file():
        return False
    try:
        return "model_type" not in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def convert(folder: Path, draft: Path) -> None:
    """Write a transformers folder made of ``model.bin``, ``config.json`` and ``tokenizer.json``.

    Raises:
        BadInput: they are not there, damaged, of another model or quantised.
    """
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

    held = arrays(folder / WEIGHTS)
    try:
        tokenizer = WhisperTokenizer(
            tokenizer_file=str(folder / "tokenizer.json"), bos_token=END, eos_token=END, pad_token=END, unk_token=END
        )
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except Exception as problem:  # the tokenizer's reader raises a bare Exception
        raise BadInput(str(folder), f"its tokenizer or config cannot be read ({problem})") from problem
    config = _config(held, tokenizer)
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(config)
    state = dict(_renamed(held, config))
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    fault = model.load_state_dict(state, strict=False, assign=True)
    if fault.missing_keys or fault.unexpected_keys:
        first = (fault.missing_keys or fault.unexpected_keys)[0]
        raise BadInput(str(folder / WEIGHTS), "is no whole Whisper", value=first)
    model.tie_weights()
    model.generation_config = _generation(config, tokenizer, told)
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(draft)


def arrays(file: Path) -> dict[str, np.ndarray]:
    """Every array of a file by its name, aliases too.

    Raises:
        BadInput: it is cut off, quantised, or no such file.
    """
    try:
        with file.open("rb") as opened:
            return _arrays(file, opened)
    except (struct.error, UnicodeDecodeError, ValueError, MemoryError) as problem:
        raise BadInput(str(file), f"is no whole CTranslate2 file ({problem})") from problem


def _arrays(file: Path, opened: BinaryIO) -> dict[str, np.ndarray]:
    """version, name of the model, its revision; then arrays (name, rank, sizes, kind, bytes); then aliases."""
    _number(opened, "I")
    kind = _word(opened)
    if kind != "WhisperSpec":
        raise BadInput(str(file), "holds another model than Whisper", value=kind)
    _number(opened, "I")
    found: dict[str, np.ndarray] = {}
    for _ in range(_number(opened, "I")):
        name = _word(opened)
        sizes = [_number(opened, "I") for _ in range(_number(opened, "B"))]
        numbers, length = _number(opened, "B"), _number(opened, "I")
        content = opened.read(length)
        if len(content) < length:
            raise ValueError(f"{name} is cut off")
        if numbers in KINDS:
            found[name] = np.frombuffer(content, KINDS[numbers]).reshape(sizes)
        elif "weight" in name:
            raise BadInput(str(file), f"{name} is quantised", remedy="take the float16 or float32 version")
    for _ in range(_number(opened, "I")):
        alias = _word(opened)
        if (name := _word(opened)) in found:
            found[alias] = found[name]
    return found


def _number(opened: BinaryIO, kind: str) -> int:
    return struct.unpack(f"<{kind}", opened.read(struct.calcsize(f"<{kind}")))[0]


def _word(opened: BinaryIO) -> str:
    """A length of two bytes, then the text with a zero behind it."""
    return opened.read(_number(opened, "H"))[:-1].decode("ascii")


def _config(held: dict[str, np.ndarray], tokenizer: "WhisperTokenizer") -> "WhisperConfig":
    """Sizes as the arrays have them."""
    from transformers import WhisperConfig

    vocabulary, width = held["decoder/embeddings/weight"].shape
    units, end = held["encoder/layer_0/ffn/linear_0/weight"].shape[0], tokenizer.get_vocab()[END]
    places = {side: held[f"{side}/position_encodings/encodings"].shape[0] for side in ("encoder", "decoder")}
    return WhisperConfig(
        vocab_size=vocabulary,
        num_mel_bins=held["encoder/conv1/weight"].shape[1],
        d_model=width,
        encoder_layers=_depth(held, "encoder"),
        decoder_layers=_depth(held, "decoder"),
        encoder_attention_heads=width // WIDTH_OF_A_HEAD,
        decoder_attention_heads=width // WIDTH_OF_A_HEAD,
        encoder_ffn_dim=units,
        decoder_ffn_dim=units,
        max_source_positions=places["encoder"],
        max_target_positions=places["decoder"],
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=tokenizer.get_vocab()[START],
    )


def _depth(held: dict[str, np.ndarray], side: str) -> int:
    return sum(name.startswith(f"{side}/layer_") and name.endswith("/ffn/layer_norm/gamma") for name in held)


def _renamed(held: dict[str, np.ndarray], config: "WhisperConfig") -> Iterator[tuple[str, Tensor]]:
    for side, depth in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        yield f"model.{side}.embed_positions.weight", _tensor(held[f"{side}/position_encodings/encodings"])
        yield from _norm(held, f"{side}/layer_norm", f"model.{side}.layer_norm")
        for layer in range(depth):
            yield from _layer(held, f"{side}/layer_{layer}", f"model.{side}.layers.{layer}", side == "decoder")
    yield "model.decoder.embed_tokens.weight", _tensor(held["decoder/embeddings/weight"])
    for convolution in ("conv1", "conv2"):
        yield from _linear(held, f"encoder/{convolution}", [f"model.encoder.{convolution}"])


def _layer(held: dict[str, np.ndarray], source: str, target: str, crossed: bool) -> Iterator[tuple[str, Tensor]]:
    own = f"{target}.self_attn"
    yield from _norm(held, f"{source}/self_attention/layer_norm", f"{own}_layer_norm")
    yield from _linear(held, f"{source}/self_attention/linear_0", [f"{own}.{one}_proj" for one in "qkv"])
    yield from _linear(held, f"{source}/self_attention/linear_1", [f"{own}.out_proj"])
    if crossed:
        other = f"{target}.encoder_attn"
        yield from _norm(held, f"{source}/attention/layer_norm", f"{other}_layer_norm")
        yield from _linear(held, f"{source}/attention/linear_0", [f"{other}.q_proj"])
        yield from _linear(held, f"{source}/attention/linear_1", [f"{other}.{one}_proj" for one in "kv"])
        yield from _linear(held, f"{source}/attention/linear_2", [f"{other}.out_proj"])
    yield from _norm(held, f"{source}/ffn/layer_norm", f"{target}.final_layer_norm")
    for number in (0, 1):
        yield from _linear(held, f"{source}/ffn/linear_{number}", [f"{target}.fc{number + 1}"])


def _norm(held: dict[str, np.ndarray], source: str, target: str) -> Iterator[tuple[str, Tensor]]:
    yield f"{target}.weight", _tensor(held[f"{source}/gamma"])
    yield f"{target}.bias", _tensor(held[f"{source}/beta"])


def _linear(held: dict[str, np.ndarray], source: str, targets: list[str]) -> Iterator[tuple[str, Tensor]]:
    """Matrices that stand below each other in one, in this order; Whisper's keys have no bias."""
    for kind in ("weight", "bias"):
        for target, part in zip(targets, np.split(held[f"{source}/{kind}"], len(targets)), strict=True):
            if not (kind == "bias" and target.endswith("k_proj")):
                yield f"{target}.{kind}", _tensor(part)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _generation(config: "WhisperConfig", tokenizer: "WhisperTokenizer", told: dict) -> "GenerationConfig":
    from transformers import GenerationConfig

    known = tokenizer.get_vocab()
    several = {}
    if known[END] != ENGLISH_END:
        languages = [token for token in known if token.startswith("<|") and len(token) in (6, 7)]
        several = {
            "lang_to_id": {token: known[token] for token in languages},
            "task_to_id": {task: known[f"<|{task}|>"] for task in ("transcribe", "translate")},
        }
    return GenerationConfig(
        max_length=config.max_target_positions,
        pad_token_id=config.pad_token_id,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
        is_multilingual=bool(several),
        no_timestamps_token_id=known["<|notimestamps|>"],
        suppress_tokens=told.get("suppress_ids"),
        begin_suppress_tokens=told.get("suppress_ids_begin"),
        alignment_heads=told.get("alignment_heads"),
        **several,
    )
