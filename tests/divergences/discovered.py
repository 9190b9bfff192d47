"""Every divergence there is, found by looking: a new file is tested without an edit."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import yaml
from torch import Tensor

import distill.divergences

CONF = Path(__file__).resolve().parents[2] / "conf" / "loss"


def functions() -> dict[str, Callable[..., Tensor]]:
    """name -> (log_p, log_q, …) -> (…,) of every public function of every family."""
    found = {}
    for module in pkgutil.iter_modules(distill.divergences.__path__, "distill.divergences."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            first = list(inspect.signature(function).parameters)[:2]
            if function.__module__ == module.name and first == ["log_p", "log_q"] and name[0] != "_":
                found[name] = function
    return found


def variants() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Every function with its defaults, and as every yaml of ``conf/loss`` binds it; those that need no target."""
    found: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}
    known = functions()
    for name, function in known.items():
        required = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        if len(required) == 2:
            found[name] = function
    for file in sorted(CONF.glob("*.yaml")):
        told = (
            yaml.safe_load(file.read_text(encoding="utf-8"))["divergence"] if "divergence" in file.read_text() else {}
        )
        name = str(told.get("_target_", "")).rpartition(".")[2]
        numbers = {key: value for key, value in told.items() if key[0] != "_"}
        if name in found and numbers:
            found[f"{file.stem}: {name}"] = partial(known[name], **numbers)
    return found


def name_of(divergence: Callable[..., Tensor]) -> str:
    """Of the function, bound or not."""
    return (divergence.func if isinstance(divergence, partial) else divergence).__name__


def logits(rows: int = 6, vocabulary: int = 11, seed: int = 0, spread: float = 2.0) -> tuple[Tensor, Tensor]:
    """Two float64 logits (rows, vocabulary)."""
    generator = torch.Generator().manual_seed(seed)
    both = torch.randn(2, rows, vocabulary, generator=generator, dtype=torch.float64) * spread
    return both[0], both[1]


def gradient(divergence: Callable[[Tensor, Tensor], Tensor], teacher: Tensor, student: Tensor) -> Tensor:
    """Of the summed divergence on the student's logits."""
    leaf = student.clone().requires_grad_()
    divergence(teacher.log_softmax(-1), leaf.log_softmax(-1)).sum().backward()
    assert leaf.grad is not None
    return leaf.grad
