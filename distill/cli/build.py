"""The one place that turns a checked node of a config into an object.

Plain containers go in, so that no part ever holds a config. Left out on purpose: ``hydra.utils.instantiate`` (its
rules for what may be called change between 1.3 and 1.5, and it passes containers of its own).
"""

import functools
import importlib
from typing import Any

from distill.cli.allow import refusal
from distill.errors import BadInput


def instantiate(node: Any, *, plugins: tuple[str, ...] = (), **extra: Any) -> Any:
    """The object that a node describes: parts inside out, with ``extra`` handed to the outermost one.

    Args:
        node: a mapping with a ``_target_``; mappings and lists of such; or a plain value, returned as it is.
        plugins: packages whose parts may be named too.
        extra: what only exists at run time (a tokenizer, parameters); they win over the config's keys.

    Raises:
        BadInput: a ``_target_`` that is not allowed, or that does not import.
    """
    if isinstance(node, list):
        return [instantiate(one, plugins=plugins) for one in node]
    if not isinstance(node, dict):
        return node
    keys = {name: value for name, value in node.items() if name not in ("_target_", "_partial_")}
    built = {name: instantiate(value, plugins=plugins) for name, value in keys.items() if name not in extra}
    if "_target_" not in node:
        return built
    target = located(node["_target_"], plugins)
    return functools.partial(target, **built, **extra) if node.get("_partial_") else target(**built, **extra)


def located(target: str, plugins: tuple[str, ...] = ()) -> Any:
    """The class or function itself; imports its module."""
    reason = refusal(target, plugins)
    if reason is not None:
        raise BadInput("_target_", reason, value=target)
    place, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(place), name)
    except (ImportError, AttributeError) as problem:
        raise BadInput(
            "_target_", f"does not import ({problem})", value=target, remedy="install its extra"
        ) from problem
