"""From a command line with several values to the command lines of single runs.

The grammar is Hydra's (``a,b``; ``choice()``, ``range()``, ``glob()``, ``sort()``, ``shuffle()``) and is parsed by
Hydra; the order is that of its own sweeper: the last key varies fastest. Left out on purpose: ``interval()``, which
has no values to enumerate, and Hydra's rule that of two settings of one key the last wins in silence.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException

from distill.errors import BadInput, BadInputs

PLACE = "command line"
MOST = 10_000
"""Runs of a sweep. More is a slip of the keyboard, and every run is composed and checked before the first begins."""


@dataclass(frozen=True)
class Combination:
    """One run's command line.

    Attributes:
        overrides: all of them, in the order given, each with one value.
        swept: the swept keys and this run's values, in the order given.
    """

    overrides: tuple[str, ...]
    swept: Mapping[str, str]


@dataclass(frozen=True)
class Expansion:
    """All runs of a sweep.

    Attributes:
        swept: every swept key with its values, in the order given.
        combinations: the product, the last key fastest; exactly one when nothing is swept.
        patterns: the swept keys whose values came from ``glob()``: whatever is there, rather than what was named.
    """

    swept: Mapping[str, list[str]]
    combinations: list[Combination]
    patterns: frozenset[str] = frozenset()


def expand(texts: Iterable[str], options: Callable[[str], list[str]]) -> Expansion:
    """The product of all values on a command line.

    Args:
        texts: overrides in Hydra's grammar.
        options: the choices of a config group, for ``glob()``.

    Raises:
        BadInputs: what is no override, an interval, a key given twice, a key without values, or too many runs.
    """
    faults: list[BadInput] = []
    parser = OverridesParser.create(cast(ConfigLoader, Groups(options)))
    lists: dict[str, list[str]] = {}
    swept: dict[str, list[str]] = {}
    patterns: set[str] = set()
    for text in texts:
        try:
            override = parser.parse_overrides([text])[0]
            key, values = _key(override), _values(override)
        except BadInput as fault:
            faults.append(fault)
            continue
        except (HydraException, ValueError, TypeError, RecursionError) as problem:
            reason = (str(problem).splitlines() or [""])[0]
            faults.append(BadInput(PLACE, f"not an override ({reason}), expected key=value", value=text))
            continue
        if key in swept or (key in lists and override.is_sweep_override()):
            faults.append(BadInput(f"{PLACE} {key}", "given twice, and swept", value=text, remedy="give it once"))
        if override.is_sweep_override():
            swept[key] = values
            if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
                patterns.add(key)
            lists[key] = [f"{override.get_key_element()}={value}" for value in values]
        else:
            lists[f"{key}#{len(lists)}" if key in lists else key] = [text]
    count = _product(len(values) for values in swept.values())
    if count > MOST:
        faults.append(BadInput(PLACE, f"{count} runs, more than {MOST}", remedy="sweep over fewer values"))
    if faults:
        raise BadInputs(faults)
    combinations = [_combination(swept, chosen) for chosen in itertools.product(*lists.values())]
    return Expansion(swept, combinations, frozenset(patterns))


def _combination(swept: Mapping[str, list[str]], chosen: tuple[str, ...]) -> Combination:
    told = {_bare(text): text.partition("=")[2] for text in chosen if _bare(text) in swept}
    return Combination(chosen, told)


def _values(override: Override) -> list[str]:
    """The values of a swept override, as they are written on a command line."""
    if not override.is_sweep_override():
        return []
    place = f"{PLACE} {override.key_or_group}"
    if override.is_interval_sweep():
        remedy = "list values, or use range(start,stop,step)"
        raise BadInput(place, "an interval has no values to enumerate; it is for a search", remedy=remedy)
    values = list(itertools.islice(override.sweep_string_iterator(), MOST + 1))
    if not values:
        raise BadInput(
            place, "no values", value=override.input_line, remedy="distill list tells the choices of a group"
        )
    return list(dict.fromkeys(values))


def _key(override: Override) -> str:
    return _bare(override.get_key_element())


def _bare(text: str) -> str:
    return text.partition("=")[0].lstrip("+~")


def _product(sizes: Iterable[int]) -> int:
    count = 1
    for size in sizes:
        count *= size
    return count


class Groups:
    """What Hydra's parser asks a config loader for."""

    def __init__(self, options: Callable[[str], list[str]]) -> None:
        self._options = options

    def get_group_options(self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG) -> list[str]:
        return sorted(self._options(group_name))
