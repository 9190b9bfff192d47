"""What a value may be, read off an annotation: a number in a range, one of a few words, a list, a part.

A kind says whether it takes a value, brings the value to its one written form (``1`` where a ``float`` is meant is
``1.0``, so that both have one identity), and describes itself to the person who gave something else.
"""

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill.cli.definitions import Definition, base_names, find, is_dataclass, lineage

if TYPE_CHECKING:
    from distill.cli.binding import Binder


class Kind(ABC):
    @abstractmethod
    def takes(self, value: object) -> bool:
        """Whether the value itself (not yet what lies inside it) is of this kind."""

    def bound(self, value: Any, key: str, binder: "Binder") -> Any:
        """A value that it takes in its one written form; what is wrong inside it goes to ``binder.faults``."""
        return value

    def fits(self, value: object) -> bool:
        """Whether it is of this kind rather than of another that takes it too."""
        return self.takes(value)

    def nearest(self, value: object) -> str | None:
        """The right word that was probably meant."""
        return None

    @abstractmethod
    def __str__(self) -> str:
        """How it is told: "a number > 0"."""


@dataclass(frozen=True)
class Anything(Kind):
    """No annotation, or one that says nothing about configs. Parts inside are still bound."""

    def takes(self, value: object) -> bool:
        return value is None or isinstance(value, (str, int, list, dict)) or _finite(value)

    def bound(self, value: Any, key: str, binder: "Binder") -> Any:
        if isinstance(value, dict):
            if "_target_" in value:
                return binder.node(value, key)
            return {name: binder.value(self, inner, f"{key}.{name}") for name, inner in value.items()}
        if isinstance(value, list):
            return [binder.value(self, inner, f"{key}.{index}") for index, inner in enumerate(value)]
        return value

    def __str__(self) -> str:
        return "a text, a finite number, true, false, null, a list or named values"


@dataclass(frozen=True)
class Number(Kind):
    """Finite, in an interval. ``True`` is no number; ``1`` is a fraction too; ``1.0`` is no whole number."""

    whole: bool
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def takes(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below and (isinstance(value, int) or math.isfinite(value))

    def bound(self, value: Any, key: str, binder: "Binder") -> Any:
        return value if self.whole or abs(value) > 2**53 else float(value)

    def __str__(self) -> str:
        noun = "a whole number" if self.whole else "a number"
        low = f"{'>' if self.open_low else '≥'} {self.low:g}" if math.isfinite(self.low) else ""
        high = f"{'<' if self.open_high else '≤'} {self.high:g}" if math.isfinite(self.high) else ""
        return " ".join(part for part in (noun, " and ".join(filter(None, (low, high)))) if part)


@dataclass(frozen=True)
class Exactly(Kind):
    """``str``, ``bool`` or ``None``."""

    type: type

    def takes(self, value: object) -> bool:
        return type(value) is self.type

    def __str__(self) -> str:
        return {str: "a text", bool: "true or false", type(None): "null"}.get(self.type, self.type.__name__)


@dataclass(frozen=True)
class OneOf(Kind):
    """A few literal values."""

    values: tuple[object, ...]

    def takes(self, value: object) -> bool:
        return any(type(value) is type(known) and value == known for known in self.values)

    def nearest(self, value: object) -> str | None:
        return nearest(str(value), [str(known) for known in self.values])

    def __str__(self) -> str:
        return f"one of {', '.join('null' if value is None else str(value) for value in self.values)}"


@dataclass(frozen=True)
class ListOf(Kind):
    """A list of any length, or of exactly as many kinds as ``each`` holds when ``fixed``."""

    each: tuple[Kind, ...]
    fixed: bool = False

    def takes(self, value: object) -> bool:
        return isinstance(value, list) and (not self.fixed or len(value) == len(self.each))

    def bound(self, value: Any, key: str, binder: "Binder") -> Any:
        kinds = self.each if self.fixed else self.each * len(value)
        return [binder.value(kind, one, f"{key}.{i}") for i, (kind, one) in enumerate(zip(kinds, value, strict=True))]

    def __str__(self) -> str:
        if self.fixed:
            return f"a list of {len(self.each)}: {', '.join(map(str, self.each))}"
        return "a list" if isinstance(self.each[0], Anything) else f"a list, each {self.each[0]}"


@dataclass(frozen=True)
class DictOf(Kind):
    """Free names, each with a value of one kind."""

    each: Kind

    def takes(self, value: object) -> bool:
        return isinstance(value, dict) and "_target_" not in value

    def bound(self, value: Any, key: str, binder: "Binder") -> Any:
        known = [name for name, inner in value.items() if self.each.takes(inner)]
        for name in [name for name in value if name not in known and nearest(name, known)]:
            binder.wrong(f"{key}.{name}", value[name], f"expected {self.each}", nearest(name, known))
        return {
            name: binder.value(self.each, inner, f"{key}.{name}")
            if name in known or not nearest(name, known)
            else inner
            for name, inner in value.items()
        }

    def __str__(self) -> str:
        return "named values" if isinstance(self.each, Anything) else f"named values, each {self.each}"


@dataclass(frozen=True)
class Either(Kind):
    """A union: the first member that fits the value has it, else the first that takes it. Whole numbers stand first, so
    that they stay whole."""

    members: tuple[Kind, ...]

    def takes(self, value: object) -> bool:
        return any(member.takes(value) for member in self.members)

    def bound(self, value: Any, key: str, binder: "Binder") -> Any:
        takers = [member for member in self.members if member.takes(value)]
        return next((one for one in takers if one.fits(value)), takers[0]).bound(value, key, binder)

    def nearest(self, value: object) -> str | None:
        return next(filter(None, (member.nearest(value) for member in self.members)), None)

    def __str__(self) -> str:
        return " or ".join(dict.fromkeys(map(str, self.members)))


@dataclass(frozen=True)
class Part(Kind):
    """An object of a class: a node with a ``_target_``, or plain keys if the class is a dataclass of settings.

    Args:
        name: the class's name as annotated.
        definition: where it is defined, if its source is read; otherwise it belongs to a library, and only names
            of bases can be compared.
    """

    name: str
    definition: Definition | None = None

    def takes(self, value: object) -> bool:
        return isinstance(value, dict) and ("_target_" in value or self._settings)

    def fits(self, value: object) -> bool:
        if not (isinstance(value, dict) and isinstance(value.get("_target_"), str)):
            return self.takes(value)
        made = find(value["_target_"])
        return made is None or (not value.get("_partial_") and self._is_base_of(made))

    def bound(self, value: Any, key: str, binder: "Binder") -> Any:
        if "_target_" not in value and self.definition is not None:
            return binder.record(self.definition, value, key)
        made = find(value["_target_"]) if isinstance(value["_target_"], str) else None
        if made is not None and (value.get("_partial_") or not self._is_base_of(made)):
            binder.wrong(f"{key}._target_", value["_target_"], f"expected {self._named}")
        return binder.node(value, key)

    @property
    def _named(self) -> str:
        return f"{'an' if self.name[0] in 'AEIOU' else 'a'} {self.name}"

    @property
    def _settings(self) -> bool:
        return self.definition is not None and is_dataclass(self.definition)

    def _is_base_of(self, made: Definition) -> bool:
        if self.definition is not None:
            return any(above.path == self.definition.path for above in lineage(made))
        return self.name == made.name or self.name in base_names(made)

    def __str__(self) -> str:
        return f"{self._named} ({'keys of it' if self._settings else 'something with _target_'})"


@dataclass(frozen=True)
class Maker(Kind):
    """A callable: any node, usually with ``_partial_: true``."""

    def takes(self, value: object) -> bool:
        return isinstance(value, dict) and "_target_" in value

    def bound(self, value: Any, key: str, binder: "Binder") -> Any:
        return binder.node(value, key)

    def __str__(self) -> str:
        return "something with _target_ and _partial_: true"


def _finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word most like this one, if any is like it."""
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[close[0]] if close else None
