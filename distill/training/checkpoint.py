"""A checkpoint is a signed folder of ``state.safetensors`` and ``state.json``: no pickle is written or read.

"The newest" is computed from what verifies, never stored. Left out on purpose: sharded checkpoints of models that do
not fit one machine's memory.
"""

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.plugins.io import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from distill.errors import BadInput
from distill.storage import find_fault, sweep_drafts, unwritable, write_folder

TENSORS, PLAIN = "state.safetensors", "state.json"


class FolderCheckpoint(CheckpointIO):
    """Lightning's checkpoint dictionaries, as verified folders."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        tensors: dict[str, Tensor] = {}
        plain = _taken_apart(checkpoint, tensors, {}, "state")

        def fill(draft: Path) -> None:
            (draft / PLAIN).write_text(json.dumps(plain), encoding="utf-8")
            try:
                save_file(tensors, draft / TENSORS)
            except SafetensorError as problem:  # how safetensors reports a full disk
                raise unwritable(Path(path), problem) from problem

        write_folder(Path(path), fill)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        fault = find_fault(Path(path))
        if fault:
            raise BadInput(str(path), f"not a complete checkpoint ({fault})", remedy="resume from an earlier one")
        tensors = load_file(Path(path) / TENSORS)
        return _put_together(json.loads((Path(path) / PLAIN).read_text(encoding="utf-8")), tensors)

    def remove_checkpoint(self, path: str | Path) -> None:
        shutil.rmtree(path)


def newest(folder: Path) -> Path | None:
    """The latest step's folder that verifies; each damaged one on the way is named in a warning."""
    damaged: list[str] = []
    for candidate in sorted(folder.glob("step-*"), reverse=True):
        fault = find_fault(candidate)
        if fault is None:
            if damaged:
                warnings.warn(f"{'; '.join(damaged)}: falling back to {candidate}", stacklevel=2)
            return candidate
        damaged.append(f"{candidate} is damaged ({fault})")
    if damaged:
        warnings.warn(f"{'; '.join(damaged)}: no complete checkpoint is left, starting anew", stacklevel=2)
    return None


def step_folder(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def retire(folder: Path, keep: int = 2) -> None:
    """Remove drafts of killed writers and all but the ``keep`` newest steps; the newest was verified when written."""
    sweep_drafts(folder)
    for old in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(old)


def _taken_apart(value: Any, tensors: dict[str, Tensor], known: dict[tuple, str], path: str) -> Any:
    """JSON in place of a nested container; its tensors go to ``tensors``, shared storage once."""
    if isinstance(value, Tensor):
        identity = (value.data_ptr(), value.shape, value.stride(), value.dtype) if value.numel() else (path,)
        if identity not in known:
            known[identity] = path
            tensors[path] = value.detach().to("cpu").contiguous().clone()
        return {"$tensor": known[identity]}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _taken_apart(item, tensors, known, f"{path}.{key}") for key, item in value.items()}
        pairs = [[key, _taken_apart(item, tensors, known, f"{path}.{key}")] for key, item in value.items()]
        return {"$pairs": pairs}
    if isinstance(value, list | tuple):
        items = [_taken_apart(item, tensors, known, f"{path}.{i}") for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, str | int | float | bool | None):
        return value
    raise TypeError(f"{path}: a checkpoint holds tensors and plain values, not {type(value).__name__}")


def _put_together(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if "$tensor" in value:
            return tensors[value["$tensor"]]
        if "$pairs" in value:
            return {key: _put_together(item, tensors) for key, item in value["$pairs"]}
        if "$tuple" in value:
            return tuple(_put_together(item, tensors) for item in value["$tuple"])
        return {key: _put_together(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_put_together(item, tensors) for item in value]
    return value
