"""What happened while the subjects were trained: every loss part, the validation text, rate, norm and speed.

One panel a metric, so that quantities of different size never share an axis; a panel holds every run and subject.
Faint lines are the rows themselves; where there are many, a running mean over a twentieth of them is drawn on top
(the pointer reads the rows, not the mean).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from distill.reports import axes, drawing
from distill.reports.document import Figure, Heading, Item, Panel, Table, colour, label
from distill.reports.gather import DATA, Run
from distill.reports.measures import ABSENT, NATS, RATE, Measure, measure
from distill.reports.teaching import takeovers, turns
from distill.rows import Row

_MANY = 60
"""From so many rows on, a running mean stands on top of them."""
_CROWD = 8
"""From so many lines in a panel on, they are thin and the pointer names the nearest."""
_SECOND = ("learning_rate", "gradient_norm", "tokens_per_second")
"""Panels that start out hidden behind their toggle."""


_CAPTION = (
    "Learning curves. Validation is text that no model was trained on; the ring marks each model’s best point, whose "
    "weights are the ones that are evaluated and compared: a curve that rises after its ring has overfit. Losses are "
    "on the training text, per supervised token; their parts are unweighted, total is the weighted sum that was "
    "optimised, so its height says nothing between objectives. Thin lines are rows, thick ones their running mean."
)

_SWAPPED = "Where a dotted line stands, the teacher that it names took over."


@dataclass(frozen=True)
class Curve:
    """One subject of one run over its steps."""

    subject: str
    name: str
    rows: tuple[Row, ...]


def learning(runs: Sequence[Run], subjects: Sequence[str]) -> Figure | None:
    """A panel for every metric of the validation and of the training text; None where nothing was logged."""
    panels: list[Panel] = []
    table: list[tuple[Item, ...]] = []
    for split in ("validation", "train"):
        for metric in _in_order(dict.fromkeys(m for run in runs for m in run.metrics(split))):
            curves = _curves(runs, subjects, metric, split)
            if not curves:
                continue
            known = measure(metric, curves[0].rows[0].unit)
            title = known.title if split == "train" else f"validation: {known.title}"
            panels.append(Panel(_panel(known, curves, title, split, runs), title, metric not in _SECOND))
            table += [_ends(known, title, curve) for curve in curves]
    if not panels:
        return None
    headings = (
        Heading("curve", numeric=False),
        Heading("subject", numeric=False),
        Heading("first"),
        Heading("lowest"),
        Heading("at step"),
        Heading("last"),
        Heading("at step"),
        Heading("undefined"),
    )
    swapped = len(runs) == 1 and len(turns(runs[0])) > 1
    caption = f"{_CAPTION} {_SWAPPED}" if swapped else _CAPTION
    return Figure(tuple(panels), caption, _legend(runs, subjects), Table(headings, tuple(table)))


def _panel(known: Measure, curves: Sequence[Curve], title: str, split: str, runs: Sequence[Run]) -> str:
    best = split == "validation" and known.better == "lower"
    points = [[(float(row.step), row.value) for row in curve.rows] for curve in curves]
    values = [value for series in points for _, value in series if math.isfinite(value)]
    log = known.metric == "gradient_norm" and bool(values) and min(values) > 0 and max(values) / min(values) > 50
    x = axes.fitted((s for series in points for s, _ in series), drawing.LEFT, drawing.RIGHT, "step", padding=0.0)
    y = axes.fitted(values, drawing.BOTTOM, drawing.TOP, known.unit, log, wanted=5)
    crowd = len(curves) > _CROWD
    most = max(60, 240 * _CROWD // max(len(curves), _CROWD))
    marks: list[str] = takeovers(runs[0], x, y) if len(runs) == 1 else []
    for curve, series in zip(curves, points, strict=True):
        look, many = colour(curve.subject), len(series) > _MANY and split == "train" and known is not RATE
        marks.append(drawing.line(series, x, y, look, curve.name, faint=many or crowd, most=most))
        if many and not crowd:
            marks.append(drawing.line(_running_mean(series), x, y, look, curve.name, quiet=True))
        if len(series) == 1:
            marks.append(drawing.dots(series, x, y, look, curve.name))
        lowest = min((p for p in series if math.isfinite(p[1])), key=lambda p: p[1], default=None)
        if best and lowest is not None:
            tip = f"{curve.name}: best {lowest[1]:.4g} at step {lowest[0]:g}"
            marks.append(drawing.dots([lowest], x, y, look, curve.name, tip, 4.2 if not crowd else 2.6, "ring"))
    return drawing.plot(x, y, title, marks, hover="point" if crowd else "x")


def _curves(runs: Sequence[Run], subjects: Sequence[str], metric: str, split: str) -> list[Curve]:
    found: list[Curve] = []
    for run in runs:
        for subject in (s for s in run.subjects if s in subjects):
            series = run.series(subject, metric, split)
            name = label(subject) if len(runs) == 1 else f"{run.name} · {label(subject)}"
            found += [Curve(subject, name, tuple(series))] if series else []
    return found


def _running_mean(series: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Over a window of a twentieth of the rows, centred; an undefined row is left out of it."""
    half = max(1, len(series) // 40)
    smooth: list[tuple[float, float]] = []
    for i, (step, _) in enumerate(series):
        near = [value for _, value in series[max(0, i - half) : i + half + 1] if math.isfinite(value)]
        smooth.append((step, sum(near) / len(near) if near else math.nan))
    return smooth


def _in_order(metrics: Sequence[str] | dict[str, None]) -> list[str]:
    """The total first, then its parts, then the rest."""
    rank = {NATS.metric: 0, "loss/total": 0, **{metric: 2 + i for i, metric in enumerate(_SECOND)}}
    return sorted(metrics, key=lambda m: rank.get(m, 1 if m.startswith("loss/") else 9))


def _legend(runs: Sequence[Run], subjects: Sequence[str]) -> tuple[tuple[str, str], ...]:
    seen = {subject for run in runs for subject in run.subjects} - {DATA}
    return tuple((subject, label(subject)) for subject in subjects if subject in seen)


def _ends(known: Measure, title: str, curve: Curve) -> tuple[Item, ...]:
    """First, lowest and last value, and how many were undefined."""
    rows = curve.rows
    finite = [row for row in rows if math.isfinite(row.value)]
    form = known.format(row.value for row in finite)
    lowest = min(finite, key=lambda row: row.value, default=None)
    return (
        Item(f"{title} ({form.unit})" if form.unit else title),
        Item(curve.name, subject=curve.subject),
        Item(form.text(rows[0].value), rows[0].value),
        Item(form.text(lowest.value), lowest.value) if lowest else Item(ABSENT),
        Item(str(lowest.step)) if lowest else Item(ABSENT),
        Item(form.text(rows[-1].value), rows[-1].value),
        Item(str(rows[-1].step)),
        Item(str(len(rows) - len(finite))),
    )
