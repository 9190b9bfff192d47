"""Numbers by domain: of one setting, and of all settings of a sweep; where what was trained on was swept, its shifts.

Rows ``domain/NAME/METRIC`` are told by whoever measures by domain; nothing is computed here but means and differences
over runs.
"""

from collections.abc import Sequence

from distill.reports.cells import Cell, Design
from distill.reports.document import Heading, Item, Table, label
from distill.reports.gather import Run
from distill.reports.intervals import Estimate
from distill.reports.measures import ABSENT, AGREEMENT, KL, NATS, Format, Measure
from distill.reports.results import CONTROLS, interval

PREFIX = "domain/"
EXACT = Measure("exact_match", "exact match", "", "higher", "percent")
METRICS = (EXACT, NATS, KL, AGREEMENT)
"""In the order in which they are shown; the first that was measured stands for all in a table of settings."""
TRAINED_ON = ("train_domains", "mixture", "domain_weights", "data.path", "data.sources", "data.name")
"""Keys that say what was trained on."""


def by_domain(cell: Cell) -> list[Table]:
    """Subjects of a setting by the domains of its test text, a table a measure, and the student − its controls."""
    domains = _domains(cell.runs)
    return [_table(cell, known, domains) for known in METRICS if _measured(cell.runs, known, domains)]


def shifts(plan: Design) -> Table | None:
    """The students of a sweep: a row a setting (what was trained on), a column a domain (what was tested on)."""
    runs = [run for cell in plan.cells for run in cell.runs]
    domains = _domains(runs)
    known = next((one for one in METRICS if _measured(runs, one, domains)), None)
    if len(plan.cells) < 2 or known is None:
        return None
    found = [[cell.estimate("student", _name(domain, known)) for domain in domains] for cell in plan.cells]
    form = known.format(one.value for row in found for one in row if one)
    best = [_best([row[i] for row in found], known) for i in range(len(domains))]
    rows = [
        (Item(cell.text(plan.names)), *(_item(one, form, n == best[i]) for i, one in enumerate(row)))
        for n, (cell, row) in enumerate(zip(plan.cells, found, strict=True))
    ]
    said = "Rows: the setting; columns: the domain tested. Means over seeds with their intervals; bold: the best there."
    headings = (Heading("setting", numeric=False), *_headings(domains, known, form))
    return Table(headings, tuple(rows), f"{_caption(known)} {said}")


def shifted(plan: Design) -> bool:
    """Whether what was trained on was swept."""
    return any(part in key for key in plan.keys for part in TRAINED_ON)


def _table(cell: Cell, known: Measure, domains: Sequence[str]) -> Table:
    found = {subject: [cell.estimate(subject, _name(d, known)) for d in domains] for subject in cell.subjects}
    form = known.format(one.value for row in found.values() for one in row if one)
    rows = [
        (Item(label(subject), subject=subject), *(_item(one, form) for one in row))
        for subject, row in found.items()
        if any(row)
    ]
    for other in CONTROLS:
        gaps = [cell.difference(_name(domain, known), "student", other) for domain in domains]
        if any(gaps):
            rows.append((Item(f"student − {label(other)}"), *(_item(gap, form, signed=True) for gap in gaps)))
    headings = (Heading("subject", numeric=False), *_headings(domains, known, form))
    return Table(headings, tuple(rows), _caption(known))


def _domains(runs: Sequence[Run]) -> tuple[str, ...]:
    names = {row.metric.removeprefix(PREFIX) for run in runs for row in run.rows if row.metric.startswith(PREFIX)}
    told = {known.metric for known in METRICS}
    return tuple(sorted({name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in told}))


def _measured(runs: Sequence[Run], known: Measure, domains: Sequence[str]) -> bool:
    return any(run.last(subject, _name(d, known)) for run in runs for subject in run.subjects for d in domains)


def _name(domain: str, known: Measure) -> str:
    return f"{PREFIX}{domain}/{known.metric}"


def _headings(domains: Sequence[str], known: Measure, form: Format) -> tuple[Heading, ...]:
    return tuple(Heading(domain or "(none)", form.unit, known.arrow) for domain in domains)


def _item(estimate: Estimate | None, form: Format, best: bool = False, signed: bool = False) -> Item:
    if estimate is None:
        return Item(ABSENT)
    text = form.signed(estimate.value) if signed else form.text(estimate.value)
    return Item(text, estimate.value, interval(estimate, form), best)


def _best(column: Sequence[Estimate | None], known: Measure) -> int | None:
    found = [(one.value, n) for n, one in enumerate(column) if one is not None and one.defined]
    if not found:
        return None
    return min(found)[1] if known.better == "lower" else max(found)[1]


def _caption(known: Measure) -> str:
    title = known.title if known.title[:2].isupper() else known.title[:1].upper() + known.title[1:]
    return f"{title} on the test text, by where it is from."
