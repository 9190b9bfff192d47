"""Two runs beside each other: in what their configs differ, where they come from, and what came out.

A number's difference is second − first. It counts as one where its interval, made of both numbers' own, leaves
out zero; equal seeds share data order and initial weights, so equal configs give differences of exactly zero.
"""

import math
from collections.abc import Mapping
from typing import Any

from distill.reports.cells import flattened, plain
from distill.reports.document import Document, Heading, Item, Prose, Section, Table, label
from distill.reports.gather import DATA, Run
from distill.reports.intervals import Estimate, paired
from distill.reports.measures import ABSENT, Measure, measure

_PLACES = ("paths", "logger", "launcher", "sweeper", "wandb", "name")
"""Keys that say where a run lies and who watched it."""
_ORIGINS = ("source", "hashes", "versions", "machine", "formula", "seed")


def difference(first: Run, second: Run) -> Document:
    """The document of two runs: ``distill diff A B``."""
    config = _config(first, second)
    numbers = _numbers(first, second)
    count = len(config.rows) if config else 0
    keys = "one key" if count == 1 else f"{count} keys"
    sections = (
        Section("Configs", (config or Prose("Every key that matters has the same value."),)),
        Section("Numbers", (numbers,) if numbers else (Prose("Nothing was measured in both."),)),
        Section(
            "Where they come from", (_origins(first, second) or Prose("Code, data, teacher and machine are equal."),)
        ),
    )
    told = _told(first, second)
    return Document(f"{first.name} and {second.name}", "Two runs", f"They differ in {keys}", told, (), sections)


def _told(first: Run, second: Run) -> str:
    pair = first.last("student", "bits_per_byte"), second.last("student", "bits_per_byte")
    if pair[0] is None or pair[1] is None:
        return "At least one of them has not measured its student."
    found = paired([(pair[1], pair[0])])
    word = "better" if found.value < 0 else "worse"
    if found.value == 0:
        return "The second student is as good as the first, to the last digit."
    sure = "" if found.sign else ", within the interval of the text"
    return f"The second student is {abs(found.value):.4f} bits per byte {word} than the first{sure}."


def _config(first: Run, second: Run) -> Table | None:
    rows = _pairs(flattened(first.config), flattened(second.config), lambda key: key.split(".")[0] not in _PLACES)
    return Table(_headings("key", first, second), rows) if rows else None


def _origins(first: Run, second: Run) -> Table | None:
    sides: list[dict[str, Any]] = []
    for run in (first, second):
        told = {key: run.provenance.get(key) for key in _ORIGINS}
        sides.append(flattened({key: value for key, value in told.items() if value is not None}))
    rows = _pairs(sides[0], sides[1], lambda _key: True)
    return Table(_headings("fact", first, second), rows) if rows else None


def _pairs(one: Mapping[str, Any], other: Mapping[str, Any], wanted: Any) -> tuple[tuple[Item, ...], ...]:
    rows = []
    for key in dict.fromkeys([*one, *other]):
        sides = [plain(side[key]) if key in side else ABSENT for side in (one, other)]
        if sides[0] != sides[1] and wanted(key):
            rows.append((Item(key), *(Item(side) for side in sides)))
    return tuple(rows)


def _numbers(first: Run, second: Run) -> Table | None:
    """Every number that both measured on the test text, or on none, by subject."""
    rows = []
    subjects = [subject for subject in first.subjects if subject in second.subjects]
    metrics = dict.fromkeys([*first.metrics("test"), *first.metrics("none")])
    for metric in (one for one in metrics if not one.startswith("reliability/")):
        for subject in subjects:
            pair = first.last(subject, metric), second.last(subject, metric)
            if pair[0] is not None and pair[1] is not None and subject != DATA:
                rows.append(_row(measure(metric, pair[0].unit), subject, pair))
    names = (Heading("measure", numeric=False), Heading("of", numeric=False))
    caption = "Second − first. Bold: the interval of the difference leaves out zero; a clock’s noise has none."
    heads = (*names, Heading("first"), Heading("second"), Heading("difference"))
    return Table(heads, tuple(rows), caption) if rows else None


def _row(known: Measure, subject: str, pair: tuple) -> tuple[Item, ...]:
    form = known.format(row.value for row in pair)
    found: Estimate = paired([(pair[1], pair[0])])
    half = form.half(found.half) if found.half and math.isfinite(found.half) else ""
    title = f"{known.title} ({form.unit})" if form.unit else known.title
    sure = found.low is not None and found.sign != 0
    difference = Item(form.signed(found.value), found.value, half, sure)
    sides = (Item(form.text(row.value), row.value) for row in pair)
    return (Item(title), Item(label(subject), subject=subject), *sides, difference)


def _headings(what: str, first: Run, second: Run) -> tuple[Heading, ...]:
    names = (first.name, second.name) if first.name != second.name else (str(first.folder), str(second.folder))
    return tuple(Heading(name, numeric=False) for name in (what, *names))
