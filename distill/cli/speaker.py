"""Which nodes of a teacher's config name the models that speak.

A stored teacher only repeats what its ``source`` said: its tokenizer, its sizes and its recipe are the source's. One
that is made of several has them below ``teachers``.
"""

from collections.abc import Mapping
from typing import Any

SOURCE, SEVERAL = "source", "teachers"


def speakers(teacher: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Every model's node by its place below the teacher's (``""`` for the teacher itself), however deep."""
    return dict(_found(teacher, ""))


def speaker(teacher: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node of the model that speaks; of several, the first one's."""
    return next(iter(speakers(teacher).values()))


def with_path(teacher: Mapping[str, Any], path: str, place: str | None = None) -> dict[str, Any]:
    """The node again, with the path of the model that speaks.

    Args:
        place: of ``speakers``; None for the first.
    """
    return with_node(teacher, next(iter(speakers(teacher))) if place is None else place, {"path": path})


def with_node(teacher: Mapping[str, Any], place: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The node again, with other keys in the node at a place."""
    if not place:
        return {**teacher, **keys}
    first, _, rest = place.partition(".")
    return {**teacher, first: with_node(teacher[first], rest, keys)}


def _found(teacher: Mapping[str, Any], place: str) -> list[tuple[str, Mapping[str, Any]]]:
    inner, several = teacher.get(SOURCE), teacher.get(SEVERAL)
    if isinstance(inner, Mapping):
        return _found(inner, f"{place}.{SOURCE}".removeprefix("."))
    if isinstance(several, Mapping) and several:
        places = {name: f"{place}.{SEVERAL}.{name}".removeprefix(".") for name in several}
        return [pair for name in sorted(several) for pair in _found(several[name], places[name])]
    return [(place, teacher)]
