"""Numbers by domain: of one run, and of a sweep over what was trained on, as a table of shifts.

Rows ``domain/NAME/METRIC`` are told by whoever measures by domain; nothing is computed here.
"""

from collections.abc import Sequence

from distill.reports.cells import Design
from distill.reports.document import Heading, Item, Table, label
from distill.reports.gather import Run
from distill.reports.measures import measure, significant

PREFIX = "domain/"
PREFERRED = ("exact_match", "nats_per_token")


def by_domain(run: Run) -> Table | None:
    """Subjects of a run by the domains of its test text."""
    metric, domains = _told([run])
    if not domains:
        return None
    rows = tuple(
        (Item(label(subject), subject=subject), *(_item(run, subject, domain, metric) for domain in domains))
        for subject in run.subjects
    )
    return Table((Heading("subject", numeric=False), *_headings(domains, metric)), rows, _caption(metric))


def shifts(plan: Design) -> Table | None:
    """The students of a sweep: a row a setting (what was trained on), a column a domain (what was tested on)."""
    runs = [run for cell in plan.cells for run in cell.runs]
    metric, domains = _told(runs)
    if len(plan.cells) < 2 or not domains:
        return None
    rows = []
    for cell in plan.cells:
        items = []
        for domain in domains:
            found = [run.last("student", f"{PREFIX}{domain}/{metric}") for run in cell.runs]
            values = [row.value for row in found if row is not None and row.value == row.value]
            mean = sum(values) / len(values) if values else float("nan")
            spread = f"{significant(min(values))} – {significant(max(values))}" if len(values) > 1 else ""
            items.append(Item(significant(mean), mean if values else None, spread))
        rows.append((Item(cell.text(plan.names)), *items))
    caption = f"{_caption(metric)} Rows: the setting; columns: the domain tested. Means over seeds, and their range."
    return Table((Heading("setting", numeric=False), *_headings(domains, metric)), tuple(rows), caption)


def _told(runs: Sequence[Run]) -> tuple[str, tuple[str, ...]]:
    """The metric that is shown, and the domains that have it."""
    names = [row.metric.removeprefix(PREFIX) for run in runs for row in run.rows if row.metric.startswith(PREFIX)]
    pairs = [name.rpartition("/") for name in names]
    metric = next((one for one in PREFERRED if any(pair[2] == one for pair in pairs)), "")
    return metric, tuple(sorted({domain for domain, _, told in pairs if told == metric}))


def _headings(domains: Sequence[str], metric: str) -> tuple[Heading, ...]:
    arrow = "↑" if metric == "exact_match" else "↓"
    return tuple(Heading(domain or "(none)", "", arrow) for domain in domains)


def _item(run: Run, subject: str, domain: str, metric: str) -> Item:
    row = run.last(subject, f"{PREFIX}{domain}/{metric}")
    if row is None:
        return Item("–")
    ends = "" if row.low is None or row.high is None else f"{significant(row.low)} – {significant(row.high)}"
    return Item(significant(row.value), row.value, ends)


def _caption(metric: str) -> str:
    return f"{measure(metric).title} of the test text, by where it is from."
