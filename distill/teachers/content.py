"""What a model's folder holds, as one hash: weights, config and adapters by their content, never by their names.

Weights are read once; their hash is kept beside size, time stamp and inode, and is made again when one of these
differs. A file changed within the last seconds is read every time, for its time stamp may not tell the next change.
"""

import hashlib
import json
import time
from pathlib import Path

from distill.storage import read_json, sha256, write_json

MEMO = "content-hashes"
WRITTEN = ("transformers_version", "_name_or_path", "torch_dtype", "dtype")
"""Keys of a config.json that say who wrote it and how, not what the model computes; the dtype is chosen on loading."""
FRESH = 3.0
"""Seconds within which a file system may give two changes one time stamp."""


def content_hash(folder: Path, cache: Path | None) -> str:
    """sha256 of every weight file, adapter and config in a model's folder.

    Args:
        cache: where hashes are remembered; None reads the weights every time.
    """
    weights = {path.name: remembered(path, cache) for path in sorted(folder.glob("*.safetensors"))}
    configs = {}
    for name in ("config.json", "adapter_config.json"):
        told = read_json(folder / name)
        configs[name] = None if told is None else {key: told[key] for key in sorted(told.keys() - set(WRITTEN))}
    return hashlib.sha256(json.dumps([weights, configs], sort_keys=True).encode()).hexdigest()


def remembered(path: Path, cache: Path | None) -> str:
    """sha256 of a file's bytes; read again only if its size, time stamp or inode has changed."""
    state = path.stat()
    seen = {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "inode": state.st_ino}
    if cache is None or time.time() - state.st_mtime < FRESH:
        return sha256(path)
    memo = cache / MEMO / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]}.json"
    known = read_json(memo)
    if known is not None and {name: known.get(name) for name in seen} == seen:
        return str(known["sha256"])
    digest = sha256(path)
    write_json(memo, {**seen, "sha256": digest})
    return digest
