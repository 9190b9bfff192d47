"""Two swept keys as a map of the student's numbers, one map for each value of a third.

Keys beyond the third, and seeds, are averaged, and the caption says over what. An empty field had no finished run.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from distill.reports import drawing
from distill.reports.axes import short
from distill.reports.cells import Cell, Design, number
from distill.reports.document import Figure, Heading, Item, Panel, Table
from distill.reports.measures import ABSENT, AGREEMENT, BITS, KL, NATS, Measure

WORTH = Measure("worth", "worth against control", "nats/token", "higher")
"""control − student in nats a token, paired by run: computed here from two rows."""

_MOST_PAIRS = 6
_FIELD = 44.0
"""Greatest height of a field."""

Fields = Mapping[tuple[str, str], float]
"""(value across, value down) -> number."""


@dataclass(frozen=True)
class Map:
    """One map: which keys, which measure, and the ends of the colours that it shares with its neighbours."""

    across: str
    down: str
    names: tuple[str, str]
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    measure: Measure
    low: float
    high: float

    @property
    def best(self) -> float:
        return self.low if self.measure.better == "lower" else self.high


def heatmaps(design: Design) -> list[Figure]:
    """The first two keys under every measure, then every other pair of keys under the first measure."""
    pairs = list(combinations(_two_first(design), 2))[:_MOST_PAIRS]
    measures = [m for m in (BITS, WORTH, AGREEMENT, KL) if any(_of(cell, m) is not None for cell in design.cells)]
    drawn = [_figure(design, pair, measures if i == 0 else measures[:1]) for i, pair in enumerate(pairs)]
    return [figure for figure in drawn if figure]


def _figure(design: Design, pair: tuple[str, str], measures: Sequence[Measure]) -> Figure | None:
    rest = [key for key in design.keys if key not in pair and len(design.values[key]) > 1]
    third = rest[0] if rest else None
    panels: list[Panel] = []
    table: list[tuple[Item, ...]] = []
    for known in measures:
        maps = {value: _means(design, known, pair, third, value) for value in _values(design, third)}
        finite = [v for fields in maps.values() for v in fields.values() if math.isfinite(v)]
        if not finite:
            continue
        columns, rows = (design.values[key] for key in pair)
        names = (design.names[pair[0]], design.names[pair[1]])
        shape = Map(*pair, names, columns, rows, known, min(finite), max(finite))
        for value, fields in maps.items():
            where = "" if third is None else f"{design.names[third]} {value}"
            panels.append(Panel(_drawn(shape, fields, where), known.title, known is measures[0]))
            table += _told(shape, fields, where)
    if not panels:
        return None
    across, down = (design.names[key] for key in pair)
    headings = [Heading("measure", numeric=False), Heading("map", numeric=False), Heading(down, numeric=False)]
    headings += [Heading(f"{across} {value}") for value in design.values[pair[0]]]
    return Figure(tuple(panels), _caption(design, pair, rest), (), Table(tuple(headings), tuple(table)))


def _caption(design: Design, pair: tuple[str, str], rest: Sequence[str]) -> str:
    across, down = (design.names[key] for key in pair)
    averaged = [design.names[key] for key in rest[1:]] + (["seeds"] if design.seeds > 1 else [])
    return (
        f"The student by {across} (across) and {down} (down)"
        + (f", one map for each {design.names[rest[0]]}" if rest else "")
        + (f"; each number is a mean over {' and '.join(averaged)}" if averaged else "")
        + ". A stronger colour is better; all maps of one measure share their colours; a frame marks the best field."
    )


def _two_first(design: Design) -> list[str]:
    """Numbers before names, temperature and weight before all."""

    def rank(key: str) -> tuple[bool, bool, bool]:
        return (not design.numeric(key), "temperature" not in key, "weight" not in key)

    return sorted((key for key in design.keys if len(design.values[key]) > 1), key=rank)


def _values(design: Design, key: str | None) -> Sequence[str]:
    return ("",) if key is None else design.values[key]


def _of(cell: Cell, known: Measure) -> float | None:
    if known is WORTH:
        found = cell.difference(NATS.metric, "control", "student")
    else:
        found = cell.estimate("student", known.metric)
    return None if found is None else found.value


def _means(design: Design, known: Measure, pair: tuple[str, str], third: str | None, value: str) -> Fields:
    """Mean over the cells of each field."""
    fields: dict[tuple[str, str], list[float]] = {}
    for cell in design.cells:
        found = _of(cell, known)
        if found is not None and (third is None or cell.setting[third] == value):
            fields.setdefault((cell.setting[pair[0]], cell.setting[pair[1]]), []).append(found)
    return {place: fmean(found) for place, found in fields.items()}


def _drawn(shape: Map, fields: Fields, where: str) -> str:
    longest = max(len(_brief(row)) for row in shape.rows)
    left, top = max(drawing.LEFT + 20, 7.0 * longest + 14), drawing.TOP + 26
    wide = (drawing.RIGHT - left) / len(shape.columns)
    high = min(_FIELD, 240.0 / len(shape.rows))
    title = f"{shape.measure.title}, {where}" if where else shape.measure.title
    parts = [
        drawing.text(0, 14, title, "title"),
        drawing.text(left + 1, top - 24, f"{shape.names[0]} →", "axis-title"),
        drawing.text(0, top - 6, f"{shape.names[1]} ↓", "axis-title"),
    ]
    for i, column in enumerate(shape.columns):
        parts.append(drawing.text(left + (i + 0.5) * wide, top - 6, _brief(column), "label", "middle"))
    for j, row in enumerate(shape.rows):
        parts.append(drawing.text(left - 8, top + (j + 0.5) * high + 4, _brief(row), "label", "end"))
        for i, column in enumerate(shape.columns):
            place = (left + i * wide, top + j * high, wide, high)
            parts.append(_field(shape, place, fields.get((column, row)), (column, row)))
    return drawing.canvas(title, top + high * len(shape.rows) + 8, parts)


def _field(shape: Map, place: tuple[float, ...], value: float | None, at: tuple[str, str]) -> str:
    x, y, wide, high = place
    box = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{wide - 2:.1f}" height="{high - 2:.1f}"'
    where = f"{shape.names[0]} {at[0]}, {shape.names[1]} {at[1]}"
    words = ABSENT if value is None else shape.measure.format([]).text(value)
    middle = (x + wide / 2, y + high / 2 + 4.5)
    if value is None or not math.isfinite(value):
        reason = "no finished run" if value is None else words
        tip = drawing.told(f"{where}: {reason}")
        return f'<rect class="field empty" {box} data-tip="{tip}"/>' + drawing.text(*middle, words, "label", "middle")
    share = 0.5 if shape.high == shape.low else (value - shape.low) / (shape.high - shape.low)
    share = 1 - share if shape.measure.better == "lower" else share
    tip = drawing.told(f"{where}: {shape.measure.title} {value:.5g}")
    frame = " best" if value == shape.best else ""
    ink = "on-strong" if share > 0.6 else "on-weak"
    field = f'<rect class="field{frame}" {box} style="--share:{100 * share:.0f}%" data-tip="{tip}"/>'
    return field + drawing.text(*middle, words, ink, "middle")


def _told(shape: Map, fields: Fields, where: str) -> list[tuple[Item, ...]]:
    """The same numbers as rows of a table."""
    form = shape.measure.format([])
    rows: list[tuple[Item, ...]] = []
    for row in shape.rows:
        found = [fields.get((column, row)) for column in shape.columns]
        items = [Item(ABSENT) if v is None else Item(form.text(v), v, best=v == shape.best) for v in found]
        rows.append((Item(shape.measure.name), Item(where or ABSENT), Item(row), *items))
    return rows


def _brief(value: str) -> str:
    """A key's value short enough for a field's edge."""
    found = number(value)
    if found is not None:
        return short(found)
    tail = value.rstrip("/").split("/")[-1]
    return tail if len(tail) <= 16 else tail[:15] + "…"
