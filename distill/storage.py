"""Files and folders that are whole or not there: written under a draft name, flushed to disk, renamed into place.

A signed folder also carries ``MANIFEST.json``, written last, with the size and sha256 of every file, so that a bit
flipped or a page lost later is found on reading. Imports no torch. Left out on purpose: locks (``filelock``) and
eviction.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from distill.errors import BadInput, ResourceStop

MANIFEST = "MANIFEST.json"
DRAFT = ".draft-"


def write_bytes(path: Path, data: bytes) -> None:
    """Replace ``path`` by a new whole file; its folder is made if need be.

    Raises:
        ResourceStop: the place cannot be written (disk full, permission).
    """
    draft = path.with_name(f".{path.name}{DRAFT}{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        _flush(path.parent)
    except OSError as problem:
        _forget(draft)
        raise unwritable(path, problem) from problem


def write_text(path: Path, text: str) -> None:
    """``write_bytes`` in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, told: Any) -> None:
    """``write_bytes`` of readable JSON; NaN is refused, for no other reader knows it."""
    write_text(path, json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file, or None if there is no file.

    Raises:
        BadInput: the file is there and holds no JSON object; writes are whole, so it was edited or damaged.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError) as problem:
        raise BadInput(str(path), f"cannot be read ({problem})", remedy="remove the file; it is made anew") from None
    if not isinstance(told, dict):
        raise BadInput(str(path), "holds no JSON object", remedy="remove the file; it is made anew")
    return told


def write_folder(folder: Path, fill: Callable[[Path], object]) -> None:
    """Make a signed ``folder`` of what ``fill(draft)`` writes, whole or not at all; it replaces an older one.

    Raises:
        ResourceStop: the disk is full or the place cannot be written.
    """
    draft = folder.with_name(f".{folder.name}{DRAFT}{secrets.token_hex(4)}")
    try:
        draft.mkdir(parents=True)
        fill(draft)
        _sign(draft)
        _rename_over(draft, folder)
    except OSError as problem:
        _forget(draft)
        raise unwritable(folder, problem) from problem
    except BaseException:
        _forget(draft)
        raise


def find_fault(folder: Path) -> str | None:
    """What is wrong with a signed folder, or None: every file is there with its size and sha256."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        signed = {str(name): (int(told["bytes"]), str(told["sha256"])) for name, told in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        return f"{MANIFEST}: {type(problem).__name__}"
    for name, (size, digest) in signed.items():
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != size:
            return f"{name} has {file.stat().st_size} bytes, not {size}"
        if sha256(file) != digest:
            return f"{name} has another checksum"
    return None


def sweep_drafts(folder: Path) -> None:
    """Remove what killed writers left below ``folder``."""
    for draft in folder.glob(f".*{DRAFT}*"):
        _forget(draft)


def is_draft(entry: Path) -> bool:
    """Whether it is somebody's unfinished write, which nobody reads."""
    return entry.name.startswith(".") and DRAFT in entry.name


def unwritable(place: Path, problem: Exception) -> ResourceStop:
    """One line about a write that failed: path, reason, free bytes."""
    near = next((parent for parent in (place, *place.absolute().parents) if parent.exists()), Path("/"))
    reason = getattr(problem, "strerror", None) or str(problem)
    free = shutil.disk_usage(near).free
    return ResourceStop(str(place), f"cannot be written ({reason})", remedy=f"{free:,} bytes are free there")


def sha256(file: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sign(draft: Path) -> None:
    files = sorted(file for file in draft.rglob("*") if file.is_file())
    for file in files:
        _flush(file)
    signed = {str(f.relative_to(draft)): {"bytes": f.stat().st_size, "sha256": sha256(f)} for f in files}
    manifest = draft / MANIFEST
    manifest.write_text(json.dumps({"format": 1, "files": signed}, indent=1), encoding="utf-8")
    _flush(manifest)
    _flush(draft)


def _rename_over(draft: Path, folder: Path) -> None:
    """A folder cannot be renamed over a full one, so an older one steps aside first, and comes back if that fails."""
    aside = folder.with_name(f".{folder.name}{DRAFT}old-{secrets.token_hex(4)}")
    if folder.exists():
        os.rename(folder, aside)
    try:
        os.rename(draft, folder)
    except OSError:
        if aside.exists():
            os.rename(aside, folder)
        raise
    _flush(folder.parent)
    _forget(aside)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _forget(draft: Path) -> None:
    """Best effort: a draft that stays is swept later, and must not hide why it was given up."""
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        with suppress(OSError):
            draft.unlink()
