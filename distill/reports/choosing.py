"""Teachers side by side: one table, one picture, in the order in which they are advised; stands on plain numbers alone.

Left out on purpose: one score. What a teacher is worth to a student is not a sum of these columns; the order follows
one column, which is named, and the reasons are in words.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from distill.reports.axes import fitted
from distill.reports.document import Document, Figure, Heading, Item, Listing, Panel, Prose, Remarks, Section, Table
from distill.reports.drawing import BOTTOM, LEFT, RIGHT, TOP, dots, plot, text

COLUMNS: dict[str, Heading] = {
    "parameters": Heading("parameters"),
    "pilot": Heading("pilot", "nats/token", "↓"),
    "bits_per_byte": Heading("teacher", "bits/byte", "↓"),
    "entropy": Heading("entropy", "nats"),
    "ece": Heading("ECE", "", "↓"),
    "accuracy": Heading("right", "%", "↑"),
    "agreement": Heading("agrees with the student", "%"),
    "memory": Heading("memory"),
    "seconds": Heading("time"),
    "passes": Heading("teacher passes"),
    "store": Heading("store"),
}
"""By key of ``Choice.facts``, in their order; a column that nobody has a number for is left out."""


SIZES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Choice:
    """A teacher.

    Attributes:
        name: as it was swept.
        facts: numbers by ``COLUMNS``.
        reasons: what speaks for it and against it, a phrase each.
        vocabulary: how its tokens and the student's meet.
        notes: what a person should know, a line each.
        refusal: why it cannot be used; then there are no facts.
    """

    name: str
    facts: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    vocabulary: str = ""
    notes: tuple[str, ...] = ()
    refusal: str = ""


def ordered(choices: Sequence[Choice], by: str) -> list[Choice]:
    """The lowest number first; without a number behind those that have one, refused ones last."""

    def place(choice: Choice) -> tuple[bool, float]:
        value = choice.facts.get(by, math.inf)
        return bool(choice.refusal), math.inf if math.isnan(value) else value

    return sorted(choices, key=place)


def table(choices: Sequence[Choice], caption: str = "") -> Table:
    """Every choice in the given order, every column that somebody has a number for."""
    keys = [key for key in COLUMNS if any(key in choice.facts for choice in choices)]
    best = {
        key: min((c.facts[key] for c in choices if key in c.facts), default=math.nan)
        for key in ("pilot", "bits_per_byte")
    }
    rows = []
    for rank, choice in enumerate(choices, start=1):
        cells = [Item("–" if choice.refusal else str(rank)), Item(choice.name)]
        for key in keys:
            value = choice.facts.get(key)
            shown = "–" if value is None else written(key, value)
            cells.append(Item(shown, value, best=value is not None and value == best.get(key)))
        cells.append(Item(f"refused: {choice.refusal}" if choice.refusal else "; ".join(choice.reasons)))
        rows.append(tuple(cells))
    headings = (Heading("rank"), Heading("teacher", numeric=False), *(COLUMNS[key] for key in keys))
    return Table((*headings, Heading("why", numeric=False)), tuple(rows), caption)


def written(key: str, value: float) -> str:
    """A number as its column shows it."""
    if math.isnan(value):
        return "–"
    if key in ("memory", "store"):
        return amount(value)
    if key == "seconds":
        return f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
    if key in ("parameters", "passes"):
        size, unit = next(((size, unit) for size, unit in SIZES if value >= size), (1.0, ""))
        return f"{value / size:.3g}{unit}"
    if key in ("accuracy", "agreement"):
        return f"{100 * value:.1f}"
    return f"{value:.3f}"


def amount(count: float) -> str:
    """A number of bytes."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def document(choices: Sequence[Choice], by: str, title: str, told: str, command: str) -> Document:
    """The whole page.

    Args:
        choices: in order.
        by: the column that the order follows.
        told: one sentence about how it was found.
        command: that was typed.
    """
    usable = [choice for choice in choices if not choice.refusal]
    headline = f"{usable[0].name} first" if usable else "None of them can be used"
    notes = tuple(f"{choice.name}: {line}" for choice in choices for line in (choice.vocabulary, *choice.notes) if line)
    blocks = (table(choices, told), *(_figure(usable, by) if len(usable) > 1 else ()))
    sections = (
        Section("Teachers", blocks),
        Section("How they speak", (Remarks(notes),) if notes else (Prose("one tokenizer for all"),)),
        Section("Command", (Listing(command, "sh"),)),
    )
    sentence = "; ".join(usable[0].reasons) if usable else "see why in the table"
    return Document(title, "before a training", headline, f"{sentence}.", (), sections)


def _figure(choices: Sequence[Choice], by: str) -> tuple[Figure, ...]:
    keys = [key for key in dict.fromkeys((by, "bits_per_byte")) if sum(key in c.facts for c in choices) > 1]
    panels = tuple(Panel(_panel(choices, key)) for key in keys)
    return (Figure(panels, "Lower is better; the order follows the first picture."),) if panels else ()


def _panel(choices: Sequence[Choice], key: str) -> str:
    told = [c for c in choices if key in c.facts and c.facts.get("parameters", 0) > 0]
    x = fitted([c.facts["parameters"] for c in told], LEFT, RIGHT, "parameters of the teacher", log=True, padding=0.2)
    y = fitted(
        [c.facts[key] for c in told], BOTTOM, TOP, " ".join((COLUMNS[key].title, COLUMNS[key].unit)), padding=0.15
    )
    marks = []
    for choice in told:
        place = (choice.facts["parameters"], choice.facts[key])
        marks.append(dots([place], x, y, "s-teacher", choice.name, f"{choice.name}: {written(key, place[1])}"))
        marks.append(text(x(place[0]), y(place[1]) - 8, choice.name, "note", "middle"))
    title = {"pilot": "Student after the pilot", "bits_per_byte": "Teacher on held-out text"}[key]
    return plot(x, y, title, marks, hover="point")
