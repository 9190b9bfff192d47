"""Who computes attention weights in the open: fused kernels, the faster ones, never hold them.

Nobody has to ask for it. Where a loss reads the weights, a model whose ``attention`` is ``auto`` is made ``eager``:
teacher, student, and the controls, which would else differ from the student by more than their training.
"""

from collections.abc import Mapping
from typing import Any

from distill.cli.binding import signature
from distill.cli.nodes import needs_of, nodes, part_of


def readers(config: Mapping[str, Any]) -> list[str]:
    """The keys of the losses that read attention weights, those of weight 0 too: they are measured."""
    return [key for key, loss in nodes(config.get("objective"), "objective") if "attention" in needs_of(loss)]


def opened(node: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The node of a student or a teacher, eager if a loss of the config reads its attention weights; of one that
    is made around another, the inner one."""
    if isinstance(node.get("source"), Mapping) and "signal" not in node:
        return {**node, "source": opened(node["source"], config)}
    definition = part_of(node)
    takes = definition is not None and "attention" in signature(definition).parameters
    open_to_choice = takes and node.get("attention", "auto") == "auto"
    return {**node, "attention": "eager"} if open_to_choice and readers(config) else dict(node)
