"""What each swept key does on its own, and which pairs of keys act together.

Main effect of a value: the mean of the student's number over the settings that have it, those alone whose other keys
were tried with every value. In a complete design (every combination present) the spread between settings splits
without remainder,

    SS_total = sum_k SS_k + sum_{k<l} SS_kl + rest,    share = SS / SS_total

Source: Fisher, "Statistical Methods for Research Workers" (1925), chapter VII. Seeds are averaged first, so these
are shares of the spread between settings; the noise between seeds is in the intervals of the tables.
"""

import math
from itertools import combinations
from math import prod
from statistics import fmean

from distill.reports import axes, drawing
from distill.reports.cells import Design, matched, number
from distill.reports.document import Figure, Heading, Item, Panel, Table
from distill.reports.measures import BITS, Measure


def main_effects(design: Design, known: Measure = BITS) -> Figure | None:
    """A panel for each key: dots are settings, the line joins their means. None with fewer than two keys."""
    keys = [key for key in design.keys if len(design.values[key]) > 1]
    numbers = _numbers(design, known)
    if len(keys) < 2 or len(numbers) < 2:
        return None
    form = known.format([])
    panels, rows = [], []
    for key in keys:
        kept = _matched(design, numbers, key)
        means = _means(design, kept, key)
        panels.append(Panel(_panel(design, known, kept, key, means)))
        span = max(means.values()) - min(means.values())
        for value, mean in means.items():
            items = (Item(form.text(mean), mean), Item(form.text(span), span))
            rows.append((Item(design.names[key]), Item(value), *items))
    headings = (
        Heading("key", numeric=False),
        Heading("value"),
        Heading(f"mean {known.title}", known.unit, known.arrow),
        Heading("span of the key", known.unit),
    )
    caption = (
        f"Main effects on the student’s {known.title}. A dot is one setting, the line joins the mean over the "
        "settings that share the value; a steep line is a key that matters, a wide column of dots says that other "
        "keys matter beside it. All panels have one scale."
    )
    if len(numbers) < prod(len(design.values[key]) for key in keys):
        caption += (
            " Not every combination is measured: a panel shows the settings whose other keys were tried with every "
            "value of its own, where there are such."
        )
    return Figure(tuple(panels), caption, (), Table(headings, tuple(rows)))


def shares(design: Design, known: Measure = BITS) -> Table | None:
    """Share of the spread between settings that each key and each pair explains; None for an incomplete design."""
    keys = [key for key in design.keys if len(design.values[key]) > 1]
    numbers = _numbers(design, known)
    complete = len(numbers) == len(design.cells) == prod(len(design.values[key]) for key in keys)
    if len(keys) < 2 or not complete:
        return None
    grand = fmean(numbers.values())
    total = sum((value - grand) ** 2 for value in numbers.values())
    if total <= 0:
        return None
    alone = {key: _squares(design, numbers, (key,), grand) for key in keys}
    rows = [(Item(design.names[key]), _share(alone[key] / total)) for key in keys]
    left = total - sum(alone.values())
    for pair in combinations(keys, 2) if len(keys) > 2 else ():
        both = _squares(design, numbers, pair, grand) - alone[pair[0]] - alone[pair[1]]
        left -= both
        rows.append((Item(" × ".join(design.names[key] for key in pair)), _share(both / total)))
    rest = " × ".join(design.names[key] for key in keys) if len(keys) < 4 else "higher interactions"
    rows.append((Item(rest), _share(left / total)))
    headings = (Heading("key", numeric=False), Heading("share of the spread", "%"))
    caption = (
        f"How the spread of the student’s {known.title} between settings splits over the keys and their "
        "interactions. A large share in a pair means that the best value of one key depends on the other."
    )
    return Table(headings, tuple(rows), caption)


def _numbers(design: Design, known: Measure) -> dict[int, float]:
    """The student's number of each cell that has a defined one, by the cell's place."""
    found = {i: cell.estimate("student", known.metric) for i, cell in enumerate(design.cells)}
    return {i: estimate.value for i, estimate in found.items() if estimate and math.isfinite(estimate.value)}


def _matched(design: Design, numbers: dict[int, float], key: str) -> dict[int, float]:
    """The numbers of the settings that can be compared along a key."""
    kept = {id(cell) for cell in matched([design.cells[i] for i in numbers], key)}
    return {i: value for i, value in numbers.items() if id(design.cells[i]) in kept}


def _means(design: Design, numbers: dict[int, float], key: str) -> dict[str, float]:
    members = {value: [n for i, n in numbers.items() if design.cells[i].setting[key] == value]
               for value in design.values[key]}  # fmt: skip
    return {value: fmean(found) for value, found in members.items() if found}


def _squares(design: Design, numbers: dict[int, float], keys: tuple[str, ...], grand: float) -> float:
    """Sum over settings of (mean of the setting's group − grand mean) squared, groups by ``keys``."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for i, value in numbers.items():
        groups.setdefault(tuple(design.cells[i].setting[key] for key in keys), []).append(value)
    return sum(len(group) * (fmean(group) - grand) ** 2 for group in groups.values())


def _panel(design: Design, known: Measure, numbers: dict[int, float], key: str, means: dict[str, float]) -> str:
    values = list(means)
    numeric = design.numeric(key) and all(number(value) is not None for value in values)
    places = [float(value) for value in values] if numeric else [float(i) for i in range(len(values))]
    left, right = drawing.LEFT + 14, drawing.RIGHT - 14
    if numeric:
        texts = [axes.short(place) for place in places]
        x = axes.named(places, left, right, design.names[key], texts, axes.logarithmic(places))
    else:
        x = axes.categories([value.split("/")[-1][:18] for value in values], left, right, design.names[key])
    y = axes.fitted(_numbers(design, known).values(), drawing.BOTTOM, drawing.TOP, known.unit, wanted=5)
    at = dict(zip(values, places, strict=True))
    marks = []
    for i, value in numbers.items():
        cell = design.cells[i]
        tip = f"{cell.text(design.names)}: {value:.5g}"
        marks.append(drawing.dots([(at[cell.setting[key]], value)], x, y, "s-quiet", "", tip, 2.6))
    line = [(at[value], mean) for value, mean in means.items()]
    marks.append(drawing.line(line, x, y, "s-student", "mean"))
    marks.append(drawing.dots(line, x, y, "s-student", "mean", radius=4, quiet=True))
    return drawing.plot(x, y, design.names[key], marks, hover="x")


def _share(share: float) -> Item:
    return Item(f"{100 * max(share, 0.0):.1f}", max(share, 0.0))
