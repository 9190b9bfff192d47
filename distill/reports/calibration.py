"""Reliability: how often a model is right when it says it is that sure.

    ECE = sum_b share_b * |accuracy_b − confidence_b|

over bins of the top token's probability. Source: Guo et al., "On Calibration of Modern Neural Networks" (2017), eq. 3.
The rows ``reliability/NN/{confidence,accuracy,share}`` come from the evaluation; seeds are averaged bin by bin.
"""

import math
from collections.abc import Mapping

from distill.reports import axes, drawing
from distill.reports.cells import Cell
from distill.reports.document import Figure, Heading, Item, Panel, Table, colour, label
from distill.reports.measures import ABSENT, ECE

_PREFIX = "reliability/"
_LARGEST = 16.0
"""Radius of a dot that holds every token; the area is the share."""


def reliability(cell: Cell) -> Figure | None:
    """A diagram for each subject of a setting; None where nothing was measured."""
    panels: list[Panel] = []
    table: list[tuple[Item, ...]] = []
    for subject in cell.subjects:
        bins = _bins(cell, subject)
        if not bins:
            continue
        panels.append(Panel(_panel(cell, subject, bins)))
        for number, found in bins.items():
            told = (found.get("confidence"), found.get("accuracy"), found.get("share"))
            items = (Item(ABSENT) if v is None else Item(f"{100 * v:.1f}", v) for v in told)
            table.append((Item(label(subject), subject=subject), Item(number), *items))
    if not panels:
        return None
    headings = (
        Heading("subject", numeric=False),
        Heading("bin"),
        Heading("confidence", "%"),
        Heading("accuracy", "%"),
        Heading("share of tokens", "%"),
    )
    caption = (
        "Reliability on the test text. Each dot is a bin of tokens by the probability that the model gave its first "
        "choice; its area is the share of the tokens in it. Below the diagonal a model is surer than it is right, "
        "above it is more often right than sure. ECE is the mean distance from the diagonal, weighted by that share."
    )
    return Figure(tuple(panels), caption, (), Table(headings, tuple(table)))


def _bins(cell: Cell, subject: str) -> Mapping[str, dict[str, float]]:
    """confidence, accuracy and share by the number of the bin."""
    bins: dict[str, dict[str, float]] = {}
    for metric in sorted({m for run in cell.runs for m in run.metrics("test") if m.startswith(_PREFIX)}):
        number, _, part = metric.removeprefix(_PREFIX).partition("/")
        found = cell.estimate(subject, metric)
        if found is not None and found.defined:
            bins.setdefault(number, {})[part] = found.value
    return bins


def _panel(cell: Cell, subject: str, bins: Mapping[str, dict[str, float]]) -> str:
    look = colour(subject)
    x = axes.unit(drawing.LEFT, drawing.RIGHT, "confidence")
    y = axes.unit(drawing.BOTTOM, drawing.TOP, "accuracy")
    full = [b for b in bins.values() if {"confidence", "accuracy"} <= b.keys() and b.get("share", 1.0) > 0]
    points = sorted((b["confidence"], b["accuracy"]) for b in full)
    marks = [drawing.rule((0, 0), (1, 1), x, y), drawing.line(points, x, y, look, label(subject), quiet=True)]
    for b in sorted(full, key=lambda b: -b.get("share", 0.0)):
        share = f", {100 * b['share']:.1f} % of tokens" if "share" in b else ""
        tip = f"sure {100 * b['confidence']:.1f} %, right {100 * b['accuracy']:.1f} %{share}"
        radius = 2.0 + _LARGEST * math.sqrt(b.get("share", 0.0))
        marks.append(drawing.dots([(b["confidence"], b["accuracy"])], x, y, look, "", tip, radius))
    error = cell.estimate(subject, ECE.metric)
    if error is not None:
        words = f"ECE {ECE.format([]).text(error.value)}"
        marks.append(drawing.text(drawing.LEFT + 8, drawing.TOP + 14, words, "figure"))
    return drawing.plot(x, y, label(subject), marks, hover="point")
