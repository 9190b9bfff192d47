"""In which keys two configs differ."""

from collections.abc import Iterator, Mapping
from typing import Any

ABSENT = object()


def flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; an empty container is a value."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Key -> (old value, new value), ``ABSENT`` where one has no such key; in the order of the configs."""
    was, now = dict(flat(old)), dict(flat(new))
    pairs = {key: (was.get(key, ABSENT), now.get(key, ABSENT)) for key in [*was, *now]}
    return {key: (before, after) for key, (before, after) in pairs.items() if before != after}
