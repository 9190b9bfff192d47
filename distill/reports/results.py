"""The result table: who, how good, how large, how fast; and what the student is better by than its controls."""

import math
from collections.abc import Sequence

from distill.reports.cells import Cell, Design
from distill.reports.document import Heading, Item, Table, label
from distill.reports.gather import DATA
from distill.reports.intervals import Estimate
from distill.reports.measures import (
    ABSENT,
    AGREEMENT,
    BITS,
    DECODE,
    ECE,
    KL,
    MINUS,
    PARAMETERS,
    QUALITY,
    TABLE,
    UNDEFINED,
    Format,
    Measure,
    measure,
)
from distill.reports.verdict import Verdict

CONTROLS = ("control", "control_compute")
_ROUNDING = 1e-6
"""Relative difference up to which two numbers are one: what the order of a sum may change in float32."""
_WORTH = Measure("worth", "worth", "nats/token", "higher")
_WORTHS = (
    Heading("worth", "nats/token", "↑"),
    Heading("worth, extra steps", "nats/token", "↑"),
    Heading("gap closed", "%", "↑"),
)
_OF_SETTINGS = (BITS, AGREEMENT, KL, ECE, PARAMETERS, DECODE)
"""Columns of the table of settings; the worth of the teacher stands behind the first."""


def results(cell: Cell) -> Table:
    """Rows are subjects, columns the measures; the best value among student and controls is marked."""
    shown = [m for m in TABLE if any(cell.estimate(subject, m.metric) for subject in cell.subjects)]
    columns = [_column(cell, known) for known in shown]
    headings = [Heading("", numeric=False)]
    headings += [Heading(known.title, form.unit, known.arrow) for known, form in _forms(cell, shown)]
    rows = []
    for i, subject in enumerate(cell.subjects):
        rows.append((Item(label(subject), subject=subject), *(column[i] for column in columns)))
    return Table(tuple(headings), tuple(rows), _said(cell))


def differences(cell: Cell) -> Table | None:
    """student − control for every measure of quality, paired by run; None where there is no control."""
    others = [other for other in CONTROLS if other in cell.subjects]
    if "student" not in cell.subjects or not others:
        return None
    headings = [Heading("student −", numeric=False)]
    columns: list[list[Item]] = []
    for known in QUALITY:
        found = [cell.difference(known.metric, "student", other) for other in others]
        if not any(found):
            continue
        form = known.format([])
        unit = "points" if known.style == "percent" else form.unit
        headings.append(Heading(known.title, unit, known.arrow))
        columns.append([_difference(d, form, known) for d in found])
    rows = tuple(
        (Item(label(other), subject=other), *(column[i] for column in columns)) for i, other in enumerate(others)
    )
    caption = (
        "What the student is better or worse by, paired run by run. An arrow down means that a negative difference "
        "is the student’s gain. Bold: the gain’s interval leaves out zero (without an interval: its sign)."
    )
    return Table(tuple(headings), rows, caption) if columns else None


def others(cell: Cell) -> Table | None:
    """Every measured number that the result table has no column for."""
    shown = {known.metric for known in TABLE}
    found: dict[str, Measure] = {}
    for run in cell.runs:
        for row in run.rows:
            if row.split in ("test", "none") and row.subject != DATA and row.metric not in shown:
                found.setdefault(row.metric, measure(row.metric, row.unit))
    kept = [known for name, known in found.items() if not name.startswith("reliability/")]
    if not kept:
        return None
    headings = [Heading("measure", numeric=False)]
    headings += [Heading(label(subject)) for subject in cell.subjects]
    rows = []
    for known in kept:
        estimates = [cell.estimate(subject, known.metric) for subject in cell.subjects]
        form = known.format(e.value for e in estimates if e)
        unit = f" ({form.unit})" if form.unit else ""
        rows.append((Item(known.title + unit), *(_item(e, form) for e in estimates)))
    return Table(tuple(headings), tuple(rows))


def comparison(design: Design, verdicts: Sequence[Verdict], chosen: int | None) -> Table:
    """One row a setting: the student's numbers, its worth against each control, and the gap closed. Settings of one key
    that are words stand in the order of their worth."""
    shown = [m for m in _OF_SETTINGS if any(c.estimate("student", m.metric) for c in design.cells)]
    sizes = {e.value for c in design.cells if (e := c.estimate("student", PARAMETERS.metric))}
    shown = [m for m in shown if m is not PARAMETERS or len(sizes) > 1]
    headings = [Heading(design.names[key], numeric=design.numeric(key)) for key in design.keys]
    headings += [Heading("runs")]
    columns = [[cell.estimate("student", known.metric) for cell in design.cells] for known in shown]
    forms = [known.format(e.value for e in column if e) for known, column in zip(shown, columns, strict=True)]
    named = [Heading(m.title, f.unit, m.arrow) for m, f in zip(shown, forms, strict=True)]
    judged = [
        any(one) for one in zip(*((v.worth, v.worth_of_compute, v.closed is not None) for v in verdicts), strict=True)
    ]
    headings += [*named[:1], *(head for head, there in zip(_WORTHS, judged, strict=True) if there), *named[1:]]
    best = [_best(column, known) for known, column in zip(shown, columns, strict=True)]
    worths = [v.worth for v in verdicts], [v.worth_of_compute for v in verdicts]
    best_worths = [_best(column, _WORTH) for column in worths]
    rows, order = [], _order(design, verdicts)
    for i, cell in ((i, design.cells[i]) for i in order):
        items = [Item(cell.setting[key], best=i == chosen) for key in design.keys]
        told = [_item(c[i], f, i in b) for c, f, b in zip(columns, forms, best, strict=True)]
        gains = [*(_gain(w[i], i in b) for w, b in zip(worths, best_worths, strict=True)), _closed(verdicts[i])]
        kept = [gain for gain, there in zip(gains, judged, strict=True) if there]
        rows.append((*items, Item(str(len(cell.runs))), *told[:1], *kept, *told[1:]))
    caption = (
        "Students on the test text, one row a setting"
        + (f", mean ± 95 % interval over {design.seeds} seeds. " if design.seeds > 1 else ". ")
        + "Worth is control − student, paired by run; extra steps: against the control that was given the teacher’s "
        "compute. Bold: best of the column and what its interval holds, and the setting best on the validation text."
        + (" Those worth most come first." if order != sorted(order) else "")
    )
    if len(sizes) == 1:
        caption += f" Every student has {min(sizes):,.0f} parameters."
    return Table(tuple(headings), tuple(rows), caption)


def _order(design: Design, verdicts: Sequence[Verdict]) -> list[int]:
    """As swept; where one key takes words, which have no order of their own, the settings worth most first."""
    order = list(range(len(design.cells)))
    if len(design.keys) != 1 or design.numeric(design.keys[0]):
        return order

    def worth(index: int) -> float:
        told = verdicts[index].worth
        return told.value if told is not None and told.defined else -math.inf

    return sorted(order, key=worth, reverse=True)


def _forms(cell: Cell, measures: Sequence[Measure]) -> list[tuple[Measure, Format]]:
    return [(m, m.format(e.value for s in cell.subjects if (e := cell.estimate(s, m.metric)))) for m in measures]


def _column(cell: Cell, known: Measure) -> list[Item]:
    estimates = [cell.estimate(subject, known.metric) for subject in cell.subjects]
    form = known.format(e.value for e in estimates if e)
    ours = [e if subject != "teacher" else None for e, subject in zip(estimates, cell.subjects, strict=True)]
    best = _best(ours, known)
    return [_item(e, form, i in best) for i, e in enumerate(estimates)]


def _best(column: Sequence[Estimate | None], known: Measure) -> tuple[int, ...]:
    """Where the best of the defined numbers stand, and those that cannot be told from it; nowhere if that is all.

    Told apart are numbers further from the best than its interval reaches, than a machine's noise, and than rounding.
    """
    found = [(e.value, i, e) for i, e in enumerate(column) if e is not None and e.defined]
    if len(found) < 2 or not known.better:
        return ()
    top, _, first = (min if known.better == "lower" else max)(found, key=lambda one: one[0])
    reach = max(max(known.noise, _ROUNDING) * abs(top), first.half or 0.0)
    best = tuple(i for value, i, _ in found if abs(value - top) <= reach)
    return best if len(best) < len(found) else ()


def _closed(judged: Verdict) -> Item:
    return (
        Item(ABSENT) if judged.closed is None else Item(f"{100 * judged.closed:.0f}".replace("-", MINUS), judged.closed)
    )


def _item(estimate: Estimate | None, form: Format, best: bool = False) -> Item:
    if estimate is None:
        return Item(ABSENT)
    return Item(form.text(estimate.value), estimate.value, interval(estimate, form), best)


def interval(estimate: Estimate, form: Format) -> str:
    """± half its width where it is as good as symmetric, else its two ends; nothing for a number without one."""
    low, high, half = estimate.low, estimate.high, estimate.half
    if low is None or high is None or not half or not estimate.defined:
        return ""
    if abs((high + low) / 2 - estimate.value) < 0.1 * half:
        return form.half(half)
    return f"{form.text(low)} – {form.text(high)}"


def _difference(estimate: Estimate | None, form: Format, known: Measure) -> Item:
    if estimate is None:
        return Item(ABSENT)
    if not estimate.defined:
        return Item(UNDEFINED)
    gained = (estimate.sign < 0) if known.better == "lower" else (estimate.sign > 0)
    return Item(form.signed(estimate.value), estimate.value, interval(estimate, form), gained)


def _gain(estimate: Estimate | None, best: bool) -> Item:
    if estimate is None:
        return Item(ABSENT)
    form = Format(1.0, 3, "")
    return Item(form.signed(estimate.value), estimate.value, interval(estimate, form), best)


def _said(cell: Cell) -> str:
    seeds = len(cell.runs)
    parts = [
        "Every model at its best validation point, measured on the test text; ECE is the expected calibration error."
    ]
    if seeds > 1:
        parts.append(f"Mean ± 95 % interval over {seeds} seeds (Student’s t).")
    elif any(row.low is not None for run in cell.runs for row in run.rows):
        parts.append("Small figures: 95 % interval over the text.")
    parts.append("Arrows: which way is better. Bold: best among student and controls, and what its interval holds.")
    parts.append(f"{ABSENT} was not measured; {UNDEFINED} was measured and is no number.")
    return " ".join(parts)
