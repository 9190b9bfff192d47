"""What a config's data wants of a model, told without reading it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from distill.cli.definitions import attribute
from distill.cli.nodes import part_of

if TYPE_CHECKING:
    from distill.types import Task


def planned_task(config: Mapping[str, Any]) -> "Task":
    """The family is the data's key ``family``, or the attribute of its class; labels are not known yet."""
    from distill.types import Family, Task

    node = config["data"]
    definition = part_of(node)
    told = node.get("family") or (attribute(definition, "family") if definition is not None else None)
    known: dict[object, Family] = {name: name for name in get_args(Family)}
    sizes = (node.get("image_size"), node.get("patch_size"))
    return Task(known.get(told, "causal"), picture=None if None in sizes else sizes)
