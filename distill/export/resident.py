"""How much memory a process holds that loads a file and reads a prompt: ``python -m distill.export.resident``.

Measured in a process of its own, with its libraries already imported: the peak of the resident set after that, minus
what it was before the file was opened. So it counts weights, the runtime's copies of them, and scratch space, and not
the libraries. Asked of the kernel (``/proc``), so it is told on Linux only.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from distill.export.onnx_runner import OnnxRunner
from distill.export.runner import Runner

Load = Callable[[Path, int], None]
"""Loads a folder's file and reads a prompt of so many tokens."""

SECONDS = 300
STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(format: str, folder: Path, tokens: int) -> int | None:
    """Bytes; None where nobody tells, or where this format has no runner of its own."""
    if format not in _LOADERS or not STATUS.exists() or (format == "gguf" and find_spec("xllamacpp") is None):
        return None
    words = [sys.executable, "-m", "distill.export.resident", format, str(folder), str(tokens)]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=True)
        return int(json.loads(told.stdout.splitlines()[-1]))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _onnx() -> Load:
    import onnxruntime  # noqa: F401 - before the first look at the memory

    return lambda folder, tokens: _read(OnnxRunner(folder), tokens)


def _torch() -> Load:
    from transformers.models.auto.modeling_auto import AutoModelForCausalLM  # noqa: F401 - as above

    from distill.export.torch_runner import TorchRunner
    from distill.folders import load_causal_lm
    from distill.models import token_embedding

    def load(folder: Path, tokens: int) -> None:
        model = load_causal_lm(str(folder))
        _read(TorchRunner(model, token_embedding(model).shape[0]), tokens)

    return load


def _llama_cpp() -> Load:
    from importlib import import_module

    from distill.export.llama_cpp import LlamaCppRunner

    import_module("xllamacpp")  # as above

    def load(folder: Path, tokens: int) -> None:
        file = next(folder.glob("*.gguf"))
        LlamaCppRunner(file, 1).taken([1 + i % 50 for i in range(tokens)], 1, {})

    return load


def _executorch() -> Load:
    from importlib import import_module

    from distill.export.executorch_runner import LIBRARY, RUNTIME, ExecutorchRunner

    for name in (RUNTIME, LIBRARY):  # as above
        import_module(name)
    return lambda folder, tokens: _read(ExecutorchRunner(folder), tokens)


_LOADERS = {"onnx": _onnx, "huggingface": _torch, "gguf": _llama_cpp, "executorch": _executorch}


def _read(runner: Runner, tokens: int) -> None:
    count = min(tokens, runner.positions or tokens)
    runner.read([(i * 7919 + 1) % runner.vocabulary for i in range(count)])


def _kibibytes(name: str) -> int:
    """A line of ``/proc/self/status``."""
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def _main(format: str, folder: str, tokens: str) -> None:
    load = _LOADERS[format]()
    before = _kibibytes("VmRSS")
    PEAK.write_text("5", encoding="ascii")  # the peak begins again
    load(Path(folder), int(tokens))
    print(max(_kibibytes("VmHWM") - before, 0) * 1024)


if __name__ == "__main__":
    _main(*sys.argv[1:])
