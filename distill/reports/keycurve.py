"""How the subjects fare along one swept number (the share of data, the student's size, the temperature).

This is the picture in which a regime ends: where the curves of student and controls cross, the teacher stops paying.
"""

import math
from dataclasses import dataclass

from distill.reports import axes, drawing
from distill.reports.cells import Cell, Design, matched
from distill.reports.document import Figure, Heading, Item, Panel, Table, colour, label
from distill.reports.intervals import Estimate, over_seeds
from distill.reports.measures import ABSENT, AGREEMENT, BITS, NATS, Measure


@dataclass(frozen=True)
class Spot:
    """A subject at one value of the key: mean over seeds, or over the settings of all other keys."""

    place: float
    estimate: Estimate


def key_curves(design: Design) -> list[Figure]:
    """A figure for every swept number."""
    found = (_figure(design, key) for key in design.keys if design.numeric(key))
    return [figure for figure in found if figure]


def _figure(design: Design, key: str) -> Figure | None:
    others = [design.names[other] for other in design.keys if other != key and len(design.values[other]) > 1]
    subjects = list(dict.fromkeys(s for cell in design.cells for s in cell.subjects))
    panels: list[Panel] = []
    rows: list[tuple[Item, ...]] = []
    for known in (BITS, NATS, AGREEMENT):
        told = [s for s in subjects if s != "teacher" or known is not AGREEMENT]  # it agrees with itself
        lines = {s: spots for s in told if (spots := _spots(design, key, s, known))}
        if not lines:
            continue
        panels.append(Panel(_panel(design, key, known, lines), known.title, known is not NATS))
        rows += [_row(known, subject, spots, design.values[key]) for subject, spots in lines.items()]
    if not panels:
        return None
    name = design.names[key]
    headings = [Heading("measure", numeric=False), Heading("subject", numeric=False)]
    headings += [Heading(f"{name} {value}") for value in design.values[key]]
    spread = "95 % interval over seeds" if design.seeds > 1 and not others else ""
    spread = f"95 % interval over the settings of {', '.join(others)} and seeds" if others else spread
    caption = (
        f"Every subject on the test text, by {name}."
        + (f" Lines are means, bands the {spread}." if spread else " One run a point, so no intervals.")
        + " Where student and control meet, the teacher stops paying."
    )
    legend = tuple((subject, label(subject)) for subject in subjects)
    return Figure(tuple(panels), caption, legend, Table(tuple(headings), tuple(rows)))


def _spots(design: Design, key: str, subject: str, known: Measure) -> list[Spot]:
    spots: list[Spot] = []
    measured = matched([cell for cell in design.cells if cell.estimate(subject, known.metric)], key)
    for value in design.values[key]:
        cells = [cell for cell in measured if cell.setting[key] == value]
        estimate = _over(cells, subject, known)
        if estimate is not None:
            spots.append(Spot(float(value), estimate))
    return spots


def _over(cells: list[Cell], subject: str, known: Measure) -> Estimate | None:
    """One cell's own estimate, or the mean over several."""
    if len(cells) == 1:
        return cells[0].estimate(subject, known.metric)
    found = [row.value for cell in cells for run in cell.runs if (row := run.last(subject, known.metric))]
    return over_seeds(found) if found else None


def _panel(design: Design, key: str, known: Measure, lines: dict[str, list[Spot]]) -> str:
    values = [float(value) for value in design.values[key]]
    scale = 100.0 if known.style == "percent" else 1.0
    ends = [v * scale for spots in lines.values() for s in spots
            for v in (s.estimate.value, s.estimate.low, s.estimate.high) if v is not None]  # fmt: skip
    texts = [axes.short(value) for value in values]
    x = axes.named(values, drawing.LEFT, drawing.RIGHT, design.names[key], texts, axes.logarithmic(values))
    y = axes.fitted(ends, drawing.BOTTOM, drawing.TOP, "%" if scale > 1 else known.unit, wanted=5)
    marks: list[str] = []
    for subject, spots in lines.items():
        bounds = [(s.place, e.low * scale, e.high * scale) for s in spots
                  if (e := s.estimate).low is not None and e.high is not None]  # fmt: skip
        marks.append(drawing.band(bounds, x, y, colour(subject)))
    for subject, spots in lines.items():
        points = [(s.place, s.estimate.value * scale) for s in spots]
        marks.append(drawing.line(points, x, y, colour(subject), label(subject)))
        marks.append(drawing.dots(points, x, y, colour(subject), label(subject), quiet=True))
    return drawing.plot(x, y, known.title, marks)


def _row(known: Measure, subject: str, spots: list[Spot], values: tuple[str, ...]) -> tuple[Item, ...]:
    form = known.format([])
    at = {spot.place: spot.estimate for spot in spots}
    items = []
    for value in values:
        estimate = at.get(float(value))
        if estimate is None:
            items.append(Item(ABSENT))
            continue
        half = estimate.half if estimate.defined else None
        detail = "" if half is None or not math.isfinite(half) else form.half(half)
        items.append(Item(form.text(estimate.value), estimate.value, detail))
    return (
        Item(f"{known.title} (%)" if form.unit == "%" else known.name),
        Item(label(subject), subject=subject),
        *items,
    )
