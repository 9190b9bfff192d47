"""Where the numbers come from: data counters, formula, citations, differences of configs, provenance.

All of it is read from the run folder as the run wrote it. From ``provenance.json``:

    command, source (commit and dirty hash), versions, machine, hashes, seed, reason, …    shown by their names
    formula       the objective as it was optimised
    citations     sources of the methods used, BibTeX entries or lines: a list, or a mapping from name to entry
    data          rows, documents, tokens, dropped by reason, truncated, skipped; nested as the data counted them
    differences   config keys that are not at their default: key -> [default, value] or {"default":…, "value":…}

Rows of the subject ``data`` are counters too.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from distill.reports.cells import flattened, plain
from distill.reports.document import Block, Heading, Item, Listing, Pairs, Prose, Table
from distill.reports.gather import DATA, Run, command_line
from distill.reports.measures import ABSENT, significant

_ENTRY = re.compile(r"\n\s*\n(?=@)")
"""Between two entries of one text."""
_COUNTED = ("data", "counters")
_APART = ("formula", "citations", *_COUNTED, "differences", "command", "notes")
"""Keys of the provenance that have a place of their own in the report."""


def counters(runs: Sequence[Run]) -> list[Block]:
    """Documents, tokens, and what was dropped, truncated or skipped and why."""
    if len(runs) == 1:
        found = _counted(runs[0])
        rows = tuple((Item(name), Item(significant(value, 6), value)) for name, value in found.items())
        return [Table((Heading("counter", numeric=False), Heading("count")), rows)] if rows else []
    by_run = {run.name: found for run in runs if (found := _counted(run))}
    names = list(dict.fromkeys(name for found in by_run.values() for name in found))
    differing = [name for name in names if len({found.get(name) for found in by_run.values()}) > 1]
    blocks: list[Block] = []
    same = [(name, next(iter(by_run.values()))[name]) for name in names if name not in differing]
    if same:
        rows = tuple((Item(name), Item(significant(value, 6), value)) for name, value in same)
        whose = "every run" if len(by_run) == len(runs) else "each run that has begun"
        blocks.append(Table((Heading("counter", numeric=False), Heading("count")), rows, f"The same in {whose}."))
    if differing:
        headings = (Heading("run", numeric=False), *(Heading(name) for name in differing))
        rows = tuple((Item(run), *(_count(found.get(name)) for name in differing)) for run, found in by_run.items())
        blocks.append(Table(headings, rows, "Different between the runs."))
    return blocks


def tested(run: Run) -> str:
    """What tells one test text from another, whatever its tokens: documents and bytes; empty where nobody counted."""
    found = _counted(run)
    told = [found.get(f"splits.test.{name}") for name in ("documents", "bytes")]
    return "" if None in told else str(told)


def formula(runs: Sequence[Run]) -> list[Block]:
    """The objective as it was optimised, each different one once."""
    told: dict[str, list[str]] = {}
    for run in runs:
        if run.provenance.get("formula"):
            told.setdefault(str(run.provenance["formula"]), []).append(run.name)
    return [Listing(text, label="" if len(told) == 1 else _of(names)) for text, names in list(told.items())[:8]]


def citations(runs: Sequence[Run]) -> list[Block]:
    """Sources of exactly the methods that the runs used: BibTeX entries together, each key once, plain lines apart."""
    found: dict[str, None] = {}
    for run in runs:
        told = run.provenance.get("citations") or []
        entries = told.values() if isinstance(told, Mapping) else told if isinstance(told, list) else [told]
        found.update(dict.fromkeys(part for entry in entries for part in _ENTRY.split(str(entry).strip()) if part))
    named = {entry.partition(",")[0]: entry for entry in reversed(found) if entry.startswith("@")}
    entries = [named[name] for name in sorted(named)]
    lines = [entry for entry in found if not entry.startswith("@")]
    blocks: list[Block] = [Listing("\n".join(lines))] if lines else []
    return [*blocks, Listing("\n\n".join(entries), "bibtex")] if entries else blocks


def from_defaults(run: Run) -> list[Block]:
    """What this run's config changed; without that, the words of its command line."""
    told = run.provenance.get("differences")
    if not isinstance(told, Mapping):
        command = run.provenance.get("command")
        words = [str(word) for word in command if "=" in str(word)] if isinstance(command, list) else []
        return [Listing("\n".join(words), label="As given on the command line.")] if words else []
    if not told:
        return [Prose("Every key is at its default.")]
    headings = (Heading("key", numeric=False), Heading("default", numeric=False), Heading("here", numeric=False))
    rows = tuple((Item(str(key)), *(Item(plain(part)) for part in _two(change))) for key, change in told.items())
    return [Table(headings, rows)]


def provenance(run: Run) -> list[Block]:
    """Everything that tells where this run's numbers come from."""
    blocks: list[Block] = []
    if run.provenance.get("command"):
        blocks.append(Listing(command_line(run.provenance["command"]), "sh"))
    pairs = [(key, value) for key, value in run.provenance.items() if key not in _APART]
    flat = [(name, plain(value)) for key, value in pairs for name, value in _named(key, value)]
    if run.status:
        flat += [(f"status.{name}", plain(value)) for name, value in flattened(run.status).items()]
    return [*blocks, Pairs(tuple(flat))] if flat else blocks


def shared_provenance(runs: Sequence[Run], command: str) -> list[Block]:
    """What is the same in every run of a sweep, once; what differs, by its number of values."""
    blocks: list[Block] = [Listing(command, "sh")] if command else []
    told = [
        {name: plain(v) for key, value in run.provenance.items() if key not in _APART for name, v in _named(key, value)}
        for run in runs
        if run.provenance
    ]
    pairs: list[tuple[str, str]] = []
    for name in dict.fromkeys(name for found in told for name in found):
        values = dict.fromkeys(found[name] for found in told if name in found)
        pairs.append((name, next(iter(values)) if len(values) == 1 else f"{len(values)} different values"))
    return [*blocks, Pairs(tuple(pairs))] if pairs else blocks


def _counted(run: Run) -> dict[str, float]:
    found: dict[str, float] = {}
    for told in (run.provenance.get(key) for key in _COUNTED):
        for name, value in flattened(told).items() if isinstance(told, Mapping) else ():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[name] = value
    for row in run.rows:
        if row.subject == DATA:
            found[row.metric if row.split == "none" else f"{row.split}.{row.metric}"] = row.value
    return found


def _of(names: Sequence[str]) -> str:
    """``2 runs: a, b``."""
    count = "1 run" if len(names) == 1 else f"{len(names)} runs"
    return f"{count}: {', '.join(names[:3])}{'…' * (len(names) > 3)}"


def _count(value: float | None) -> Item:
    return Item(ABSENT) if value is None else Item(significant(value, 6), value)


def _named(key: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return list(flattened(value, f"{key}.").items())
    return [(key, ", ".join(str(v) for v in value) if isinstance(value, list) else value)]


def _two(change: Any) -> tuple[Any, Any]:
    if isinstance(change, Mapping):
        return change.get("default"), change.get("value")
    if isinstance(change, list) and len(change) == 2:
        return change[0], change[1]
    return ABSENT, change
