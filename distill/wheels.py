"""Models that lie inside an installed Python package; GGUF and CTranslate2 files turned into safetensors once.

A package is found by ``find_spec`` and never imported: a model wheel may import a runtime that is not
installed, or anything else. A GGUF takes twenty seconds and more to load and cannot be saved again as it is,
so its safetensors version is kept in the cache folder under the hash of its bytes.

Left out on purpose: quantised arithmetic. A GGUF is widened to float32 once, and that is the model from then
on.
"""

import hashlib
import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as reports

from distill.ctranslate import WEIGHTS, convert, is_one
from distill.errors import BadInput
from distill.storage import find_fault, sweep_drafts, unwritable, write_folder

log = logging.getLogger(__name__)

CONVERSION = "1"
"""Part of the key: raised when the conversion itself changes."""


def folder_in_wheel(name: str) -> Path | None:
    """The model folder, or the one GGUF or CTranslate2 file, of a package; None if the package is not installed.

    Raises:
        BadInput: the name is no package name, or the package holds no model or several.
    """
    if not name.isidentifier():  # a dotted name would import its parent
        raise BadInput(f"wheel {name}", "is no package name", remedy="write it as in `import name`, without dots")
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    folders = [root, *sorted(child for child in root.iterdir() if child.is_dir())]
    found = [folder for folder in folders if (folder / "config.json").is_file()]
    found = found or sorted(root.glob("*.gguf"))
    if len(found) != 1:
        raise BadInput(f"wheel {name}", f"holds {len(found)} models where one is expected", value=str(root))
    return found[0] / WEIGHTS if is_one(found[0]) else found[0]


def converted(file: Path, cache: Path | None = None) -> Path:
    """The transformers folder made from a GGUF or CTranslate2 file, made now if the cache has none or a damaged one.

    Two processes may ask at once: one converts, the other waits. What a killed one left is swept by the next.

    Raises:
        BadInput: it is no GGUF of a causal language model, no CTranslate2 file of a Whisper, or the packages that read
            one are missing.
        ResourceStop: the cache folder cannot be written.
    """
    home = (default_cache() if cache is None else cache).expanduser() / "models" / f"{file.stem}-{_key(file)}"
    whole = home / "model"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / ".lock"):
            sweep_drafts(home)
            fault = find_fault(whole) if whole.exists() else "not there yet"
            if fault is not None:
                log.info("%s: %s; converting to safetensors, 15 s and more for 135M parameters", whole, fault)
                write_folder(whole, lambda draft: _convert(file, draft))
    except OSError as problem:
        raise unwritable(home, problem) from problem
    return whole


def _key(file: Path) -> str:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256")
    digest.update(CONVERSION.encode())
    return digest.hexdigest()[:12]


def default_cache() -> Path:
    """``$DISTILL_CACHE`` or ``~/.cache/distill``, as in ``conf/paths``."""
    return Path(os.environ.get("DISTILL_CACHE", "~/.cache/distill"))


@contextmanager
def quiet(bars: bool = False) -> Iterator[None]:
    """transformers without its report on what it loaded, which is told in one line here, and without progress bars
    unless a download may want them."""
    showing, level = reports.is_progress_bar_enabled(), reports.get_verbosity()
    reports.set_verbosity(logging.CRITICAL)
    if not bars:
        reports.disable_progress_bar()
    try:
        yield
    finally:
        reports.set_verbosity(level)
        if showing:
            reports.enable_progress_bar()


def _convert(file: Path, draft: Path) -> None:
    if file.name == WEIGHTS:
        with quiet():
            convert(file.parent, draft)
        return
    if missing := [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]:
        raise BadInput(str(file), f"needs {' and '.join(missing)} to be read", remedy="pip install 'distill-lab[gguf]'")
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    except Exception as problem:  # the reader raises what it likes at a file that is no GGUF
        raise BadInput(str(file), f"cannot be read as GGUF ({problem})") from problem
    # The loader marks the widened model as quantised, and save_pretrained then refuses to write it.
    for mark in ("hf_quantizer", "is_quantized", "quantization_method"):
        vars(model).pop(mark, None)
    vars(model.config).pop("quantization_config", None)
    with quiet():
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
