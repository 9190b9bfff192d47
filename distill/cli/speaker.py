"""Which node of a teacher's config names the model that speaks.

A stored teacher only repeats what its ``source`` said: its tokenizer, its sizes and its recipe are the source's.
"""

from collections.abc import Mapping
from typing import Any

SOURCE = "source"


def speaker(teacher: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node itself, or the source's of one that repeats, however deep."""
    inner = teacher.get(SOURCE)
    return speaker(inner) if isinstance(inner, Mapping) else teacher


def with_path(teacher: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The node again, with the path of the model that speaks."""
    inner = teacher.get(SOURCE)
    if isinstance(inner, Mapping):
        return {**teacher, SOURCE: with_path(inner, path)}
    return {**teacher, "path": path}
