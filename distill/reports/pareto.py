"""Quality against what it costs: size, speed, memory. The front joins the models that none beats on both."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from distill.reports import axes, drawing
from distill.reports.cells import Design
from distill.reports.document import Figure, Heading, Item, Panel, Table, colour, label
from distill.reports.measures import BITS, DECODE, DISK, MEMORY, PARAMETERS, Measure

_KINDS = {"teacher": "square", "student": "dot", "control": "diamond", "control_compute": "triangle"}
_COSTS = (PARAMETERS, DISK, DECODE, MEMORY)
_SAID = {PARAMETERS: "parameters", DISK: "size on disk", DECODE: "decode speed", MEMORY: "peak memory"}


@dataclass(frozen=True)
class Candidate:
    """A model that one could ship."""

    name: str
    subject: str
    quality: float
    cost: float


def fronts(design: Design) -> Figure | None:
    """Bits per byte against each cost; None where fewer than two models differ in any."""
    panels: list[Panel] = []
    rows: list[tuple[Item, ...]] = []
    subjects: set[str] = set()
    for cost in _COSTS:
        found = candidates(design, cost)
        if len({c.cost for c in found}) < 2:
            continue
        best = front(found, cost)
        subjects |= {c.subject for c in found}
        panels.append(Panel(_panel(found, best, cost), _SAID[cost], cost in (PARAMETERS, DECODE)))
        form = cost.format(c.cost for c in found)
        for c in best:
            told = (
                Item(f"{form.text(c.cost)} {form.unit}".strip(), c.cost),
                Item(BITS.format([]).text(c.quality), c.quality),
            )
            rows.append((Item(_SAID[cost]), Item(c.name, subject=c.subject), *told))
    if not panels:
        return None
    headings = (
        Heading("cost", numeric=False),
        Heading("on the front", numeric=False),
        Heading("cost"),
        Heading(BITS.title, BITS.unit, BITS.arrow),
    )
    caption = (
        "Every model of the sweep: bits per byte on the test text (lower is better) against what it costs to keep and "
        "to run. The stepped line is the Pareto front: no other model is at least as good on both axes. Speeds are "
        "those of the machine that ran them; equal models differ by its noise."
    )
    legend = tuple((s, label(s)) for s in (*_KINDS, *sorted(subjects.difference(_KINDS))) if s in subjects)
    return Figure(tuple(panels), caption, legend, Table(headings, tuple(rows)))


def candidates(design: Design, cost: Measure) -> list[Candidate]:
    """Every subject of every setting with both numbers, mean over seeds. A subject with the same quality in several
    settings is one model (a shared teacher, a control that the key does not touch): once, at its mean cost."""
    found: dict[tuple[str, float], list[tuple[str, float]]] = {}
    for cell in design.cells:
        for subject in cell.subjects:
            quality, price = cell.estimate(subject, BITS.metric), cell.estimate(subject, cost.metric)
            if quality is None or price is None or not (quality.defined and price.defined and price.value > 0):
                continue
            found.setdefault((subject, quality.value), []).append((cell.text(design.names), price.value))
    models: list[Candidate] = []
    for (subject, quality), told in found.items():
        setting = told[0][0] if len(told) == 1 else ""
        name = f"{label(subject)}, {setting}" if setting else label(subject)
        models.append(Candidate(name, subject, quality, fmean(price for _, price in told)))
    return models


def front(found: Sequence[Candidate], cost: Measure) -> list[Candidate]:
    """Those that no other beats on one axis without losing on the other, from cheap to dear. Costs that a machine
    cannot tell apart (``cost.noise``) count as equal: of those only the best can stand on the front."""
    cheap = (lambda c: c.cost) if cost.better == "lower" else (lambda c: -c.cost)
    best: list[Candidate] = []
    for c in sorted(found, key=lambda c: (cheap(c), c.quality)):
        if best and c.quality >= best[-1].quality:
            continue
        if best and abs(c.cost - best[-1].cost) <= cost.noise * abs(best[-1].cost):
            best.pop()
        best.append(c)
    return best


def _panel(found: Sequence[Candidate], best: Sequence[Candidate], cost: Measure) -> str:
    costs = [c.cost for c in found]
    form = cost.format(costs)
    scale = form.divisor
    log = max(costs) / min(costs) > 3
    title = f"{_SAID[cost]} ({form.unit})" if form.unit else _SAID[cost]
    x = axes.fitted((c / scale for c in costs), drawing.LEFT, drawing.RIGHT, title, log, padding=0.08)
    y = axes.fitted((c.quality for c in found), drawing.BOTTOM, drawing.TOP, padding=0.08, wanted=5)
    steps: list[tuple[float, float]] = []
    for c in best:
        steps += (
            [(c.cost / scale, steps[-1][1]), (c.cost / scale, c.quality)] if steps else [(c.cost / scale, c.quality)]
        )
    marks = [drawing.line(steps, x, y, "s-front", "", quiet=True)]
    for c in found:
        tip = f"{c.name}: {c.quality:.4f} bits per byte, {form.text(c.cost)} {form.unit}"
        kind = _KINDS.get(c.subject, "ring")
        marks.append(drawing.dots([(c.cost / scale, c.quality)], x, y, colour(c.subject), "", tip, 3.4, kind))
    return drawing.plot(x, y, f"{BITS.title} by {_SAID[cost]}", marks, hover="point")
