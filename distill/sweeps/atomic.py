"""Small JSON files that are whole or not there, on any file system that renames atomically.

Left out on purpose: ``flock`` (absent or lying on many network file systems) and hard links (absent on some
disks). Exclusion is made from one thing every file system has: a folder cannot be renamed onto a full one.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from distill.errors import BadInput, ResourceStop


def write_json(path: Path, told: dict[str, Any]) -> None:
    """Replace ``path`` by a new whole file: temporary file beside it, fsync, rename, fsync of the folder.

    Raises:
        ResourceStop: the folder cannot be written (disk full, permission).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as draft:
            _dump(draft, told)
        os.replace(draft.name, path)
        _sync_folder(path.parent)
    except OSError as problem:
        raise ResourceStop(
            str(path), f"cannot be written ({problem.strerror})", remedy="free space or rights"
        ) from None


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file, or None if there is no file.

    Raises:
        BadInput: the file is there and holds no JSON object; it was edited or damaged, for writes are whole.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as problem:
        raise BadInput(str(path), f"cannot be read ({problem})", remedy="remove the file; it is made anew") from None
    if not isinstance(told, dict):
        raise BadInput(str(path), "holds no JSON object", remedy="remove the file; it is made anew")
    return told


def create_folder(path: Path, name: str, told: dict[str, Any]) -> bool:
    """Make the folder ``path`` with one JSON file ``name`` in it, if nobody has: True for exactly one caller.

    The folder is filled beside its place and renamed into it, so that nobody ever sees it without its file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=".draft-"))
    try:
        with (draft / name).open("w", encoding="utf-8") as file:
            _dump(file, told)
        os.rename(draft, path)
    except OSError as problem:
        shutil.rmtree(draft, ignore_errors=True)
        if path.is_dir():
            return False
        raise ResourceStop(str(path), f"cannot be made ({problem.strerror})", remedy="free space or rights") from None
    _sync_folder(path.parent)
    return True


def _dump(file: Any, told: dict[str, Any]) -> None:
    json.dump(told, file, indent=1, allow_nan=False)
    file.write("\n")
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
