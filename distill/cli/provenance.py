"""Where a run comes from: command, commit, versions, machine, seeds, hashes; and, at its end, why it ended.

``provenance.json`` is written when a run begins and again when it ends. Everything in it is redacted first.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "torch",
    "pytorch-lightning",
    "transformers",
    "tokenizers",
    "hydra-core",
    "omegaconf",
    "safetensors",
    "datasets",
    "wandb",
)


def gathered(command: list[str], config: Mapping[str, Any], identity: str) -> dict[str, Any]:
    """What is known before anything is built; hashes, formula and citations join later.

    Args:
        command: as typed, redacted.
        config: resolved and redacted.
        identity: of what matters in it.
    """
    return {
        "command": command,
        "directory": os.getcwd(),
        "identity": identity,
        "seed": config.get("seed"),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "ended": None,
        "exit": None,
        "reason": None,
        "source": _source(Path(__file__).resolve().parent),
        "versions": {"distill": _version("distill-lab"), "python": platform.python_version()}
        | {name: _version(name) for name in PACKAGES},
        "machine": _machine(),
    }


def _source(folder: Path) -> dict[str, Any]:
    """The commit of the code and a hash of what differs from it; nulls outside a checkout."""

    def git(*words: str) -> str | None:
        try:
            told = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return told.stdout

    commit, changes = git("rev-parse", "HEAD"), git("diff", "HEAD")
    dirty = sha256(changes.encode()).hexdigest()[:16] if changes else None
    return {"commit": commit.strip() if commit else None, "dirty": dirty}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_mib": psutil.virtual_memory().total >> 20,
        "accelerators": devices,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
