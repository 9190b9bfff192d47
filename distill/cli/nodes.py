"""The parts of a checked config: where they stand, what they are, and what a loss among them asks of a teacher."""

from collections.abc import Iterator
from typing import Any

from distill.cli.definitions import Definition, attribute, find


def nodes(value: object, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part below a key, by its own key."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield key, value
        for name, inner in value.items():
            yield from nodes(inner, f"{key}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from nodes(inner, f"{key}.{index}")


def part_of(node: object) -> Definition | None:
    """The class or function that a node names."""
    target = node.get("_target_") if isinstance(node, dict) else None
    return find(target) if isinstance(target, str) else None


def needs_of(loss: dict[str, Any]) -> frozenset[str]:
    """What the loss of a node declares that it needs, with its keys as they are; nothing if it declares nothing."""
    inside = _declared(loss, "deeper") if loss.get("layers", "final") != "final" else frozenset()
    return _declared(loss, "needs") | inside


def coarser_of(loss: dict[str, Any]) -> frozenset[str]:
    """Signals that do for the loss of a node where it needs logits: none if its gate or softening looks at them all."""
    softening = part_of(loss.get("softening"))
    whole = loss.get("gate") is not None or (softening is not None and attribute(softening, "whole") is True)
    return _declared(loss, "coarser") if "logits" in needs_of(loss) and not whole else frozenset()


def _declared(loss: dict[str, Any], name: str) -> frozenset[str]:
    definition = part_of(loss)
    value = attribute(definition, name) if definition else None
    return value if isinstance(value, frozenset) else frozenset()
