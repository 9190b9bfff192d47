"""Runs that share everything but the seed are one cell: the place where a mean and an interval make sense.

A key of a config is *swept* if the sweep says so, or, for folders that were never one sweep, if its value differs
between the runs. Keys that always move together (a teacher's path, width and depth) count once, by the first name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.reports.gather import Evidence, Run
from distill.reports.intervals import Estimate, of_rows, paired

SEED = "seed"
_SHOWN_ONLY = ("paths", "logger", "launcher", "sweeper", "wandb", "callbacks", "debug", "name", "threads")
_PLACES = ("cache", "path", "workers")
"""Where a run is written, who watches it and where a cache lies does not make it another experiment."""
_DEFAULT = "default"
"""The value of a key that a run does not name."""


@dataclass(frozen=True)
class Cell:
    """One setting of the swept keys and its runs, one a seed.

    Attributes:
        setting: the value of every swept key but the seed, as text.
        runs: those that have something to report.
    """

    setting: Mapping[str, str]
    runs: tuple[Run, ...]

    def estimate(self, subject: str, metric: str) -> Estimate | None:
        """The reported number, mean over seeds; None where no run has it."""
        found = [row for run in self.runs if (row := run.last(subject, metric)) is not None]
        return of_rows(found) if found else None

    def validation(self, subject: str) -> Estimate | None:
        """Nats a token at the best validation point, mean over seeds."""
        found = [row for run in self.runs if (row := run.best(subject)) is not None]
        return of_rows(found) if found else None

    def difference(self, metric: str, subject: str, other: str) -> Estimate | None:
        """subject − other, paired by run."""
        pairs = [(run.last(subject, metric), run.last(other, metric)) for run in self.runs]
        both = [(first, second) for first, second in pairs if first is not None and second is not None]
        return paired(both) if both else None

    @property
    def subjects(self) -> tuple[str, ...]:
        longest = max(self.runs, key=lambda run: len(run.subjects), default=None)
        return longest.subjects if longest else ()

    def text(self, names: Mapping[str, str]) -> str:
        """``temperature 2, weight 0.5``."""
        return ", ".join(f"{names[key]} {value}" for key, value in self.setting.items())


@dataclass(frozen=True)
class Design:
    """What was swept.

    Attributes:
        keys: swept keys without seeds, in the order of the sweep.
        values: of each key, in order (numbers by size, words as met).
        names: of each key, as short as it can be told apart.
        cells: one for each setting that has runs with numbers, other than those that a search pruned.
        seeds: how many seeds there are.
    """

    keys: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    cells: tuple[Cell, ...]
    seeds: int

    def numeric(self, key: str) -> bool:
        return len(self.values[key]) > 1 and all(number(value) is not None for value in self.values[key])


def design(evidence: Evidence) -> Design:
    """The swept keys of the evidence and its cells."""
    settings = [settings_of(run) for run in evidence.runs]
    swept = list(evidence.keys) or _differing(settings)
    keys = [key for key in swept if not _is_seed(key)]
    told = [tuple(setting.get(key, _DEFAULT) for key in keys) for setting in settings]
    values = {key: _ordered([row[i] for row in told]) for i, key in enumerate(keys)}
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run, setting in zip(evidence.runs, told, strict=True):
        if run.rows and run.state != "pruned":  # what a search gave up is not the worth of its setting
            groups.setdefault(setting, []).append(run)
    order = sorted(groups, key=lambda setting: [values[k].index(v) for k, v in zip(keys, setting, strict=True)])
    cells = tuple(Cell(dict(zip(keys, s, strict=True)), tuple(groups[s])) for s in order)
    seeds = {row.seed for run in evidence.runs for row in run.rows if row.subject != "teacher"}  # it may be shared
    return Design(tuple(keys), values, short_names(keys), cells, len(seeds))


def matched(cells: Sequence[Cell], key: str) -> Sequence[Cell]:
    """The cells that can be compared along a key: those whose other keys have been tried with each of its values.

    A sweep that is half done would else compare one value's easy settings with another's hard ones. All cells where
    none has such fellows, as in a search.
    """
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(tuple(v for k, v in cell.setting.items() if k != key), []).append(cell)
    whole = len({cell.setting[key] for cell in cells})
    found = [cell for group in groups.values() if len(group) == whole for cell in group]
    return found or cells


def settings_of(run: Run) -> dict[str, str]:
    """Every key of a run by its dotted name, as text: the values that its sweep gave it, the words of its command
    line (a choice such as ``teacher=nursery`` has no key of its own in a config), then its resolved config."""
    command = run.provenance.get("command")
    words = [str(word) for word in command] if isinstance(command, list) else []
    told = {key: plain(value) for key, value in run.swept.items()}
    for word in words:
        key, equals, value = word.partition("=")
        if equals and not word.startswith("-"):
            told.setdefault(key.lstrip("+~"), plain(value))
    for key, value in flattened(run.config).items():
        told.setdefault(key, plain(value))
    return told


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat.update(flattened(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def plain(value: object) -> str:
    """A config's value as a person writes it; 1.0 and 1 are the same number."""
    found = number(value)
    if found is not None and not isinstance(value, bool):
        return f"{found:g}" if float(f"{found:g}") == found else repr(found)
    return "null" if value is None else str(value)


def number(text: object) -> float | None:
    """``text`` as a finite number, if it is one."""
    try:
        value = float(text)  # pyright: ignore[reportArgumentType] whatever is no number says so itself
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Each dotted key by its last parts, as few as tell it from the others."""
    names: dict[str, str] = {}
    for key in keys:
        parts = key.split(".")
        tails = [".".join(parts[-n:]) for n in range(1, len(parts) + 1)]
        others = [other for other in keys if other != key]
        names[key] = next((t for t in tails if not any(o == t or o.endswith(f".{t}") for o in others)), key)
    return names


def _differing(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Keys whose value is not the same everywhere; of those that always move together, the first."""
    if len(settings) < 2:
        return []
    seen: dict[tuple[int, ...], str] = {}
    for key in dict.fromkeys(key for setting in settings for key in setting):
        if _says_nothing(key) or _is_seed(key):
            continue
        met = list(dict.fromkeys(setting.get(key, _DEFAULT) for setting in settings))
        pattern = tuple(met.index(setting.get(key, _DEFAULT)) for setting in settings)
        if any(pattern):
            seen.setdefault(pattern, key)
    return list(seen.values())


def _says_nothing(key: str) -> bool:
    return key.split(".")[0] in _SHOWN_ONLY or key.split(".")[-1] in _PLACES


def _is_seed(key: str) -> bool:
    return key.split(".")[-1] == SEED


def _ordered(values: Sequence[str]) -> tuple[str, ...]:
    met = list(dict.fromkeys(values))
    if all(number(value) is not None for value in met):
        met.sort(key=float)
    return tuple(met)
