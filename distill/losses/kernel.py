"""The compiled row kernel: ``rows.cpp``, built at first use and kept, or nothing.

A build takes a few seconds, once a machine: the library lies in the folder of torch's extensions
(``$TORCH_EXTENSIONS_DIR``, else ``~/.cache/torch_extensions``) under the hash of its source, its flags, and everything
that the compiler says of itself and of this processor, so that a home shared by different machines holds one for each.
Processes that come at the same time wait for the one that builds; its lock dies with it.

Nothing here may fail a run: without a compiler or a writable folder one line says why, and the loss runs in torch.
Left out on purpose: ``torch.utils.cpp_extension``, which compiles torch's own headers for a minute, needs ninja, and
waits for ever behind a lock whose owner was killed.
"""

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

SOURCE = Path(__file__).with_name("rows.cpp")
FLAGS = ("-O3", "-std=c++17", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC", "-pthread")
PATIENCE = 60  # seconds that a build, or another process's build, may take

log = logging.getLogger(__name__)


@cache
def kernel() -> Callable[..., Any] | None:
    """``distill_rows`` of ``rows.cpp``, or None; found out and told once a process."""
    try:
        compiler = _compiler()
        built = _built(compiler, _place(compiler))
        function = ctypes.CDLL(str(built)).distill_rows
    except (OSError, subprocess.SubprocessError, Timeout) as problem:
        log.warning("the loss runs without its compiled kernel, in torch: %s", _told(problem))
        return None
    function.restype = None
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    function.argtypes = [pointer, pointer, pointer, number, number, pointer, ctypes.c_int32, pointer, ctypes.c_int32]
    return function


def _compiler() -> str:
    named = os.environ.get("CXX", "g++")
    found = shutil.which(named) or shutil.which("clang++") or shutil.which("c++")
    if found is None:
        raise FileNotFoundError(f"there is no C++ compiler ({named})")
    return found


def _place(compiler: str) -> Path:
    """Where the library of this source, compiler and processor lies."""
    itself = _run([compiler, *FLAGS, "-dM", "-E", "-x", "c++", os.devnull])  # its version and all that -march=native is
    key = hashlib.sha256(SOURCE.read_bytes() + " ".join((compiler, *FLAGS)).encode() + itself).hexdigest()[:16]
    folder = os.environ.get("TORCH_EXTENSIONS_DIR") or "~/.cache/torch_extensions"
    return Path(folder).expanduser() / f"distill_rows_{key}" / "rows.so"


def _built(compiler: str, place: Path) -> Path:
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock"), timeout=PATIENCE):
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=place.parent) as room:
                made = Path(room) / place.name
                _run([compiler, *FLAGS, str(SOURCE), "-o", str(made)])
                made.replace(place)  # whole or not there
    return place


def _run(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE).stdout


def _told(problem: Exception) -> str:
    """One line."""
    said = problem.stderr.decode(errors="replace") if isinstance(problem, subprocess.CalledProcessError) else ""
    wrong = [line for line in said.splitlines() if "error" in line]
    return (wrong or str(problem).splitlines() or [type(problem).__name__])[0]
