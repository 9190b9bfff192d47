"""Every run of a sweep; those that did not finish, and those that the search pruned, with cause and log."""

import os
from collections.abc import Sequence
from pathlib import Path

from distill.reports.cells import Design, settings_of
from distill.reports.document import Heading, Item, Table
from distill.reports.gather import Run
from distill.reports.measures import ABSENT


def run_list(runs: Sequence[Run], design: Design, base: Path) -> Table:
    """Every run with its setting, seed and state, and a link to its own report where there is one."""
    rows = []
    for run in runs:
        setting = settings_of(run)
        page = run.folder / "report.html"
        href = str(page.relative_to(base)) if page.is_file() and page.is_relative_to(base) else ""
        seed = str(run.rows[0].seed) if run.rows else setting.get("seed", ABSENT)
        items = [Item(setting.get(key, "default")) for key in design.keys]
        rows.append((Item(run.name, href=href), *items, Item(seed), Item(run.state)))
    headings = [Heading("run", numeric=False)]
    headings += [Heading(design.names[key], numeric=design.numeric(key)) for key in design.keys]
    return Table((*headings, Heading("seed"), Heading("state", numeric=False)), tuple(rows))


def failures(runs: Sequence[Run], base: Path) -> Table | None:
    """Runs that did not finish: state, cause, where the log lies."""
    lost = [run for run in runs if run.state not in ("done", "pruned") or run.problems]
    if not lost:
        return None
    rows = []
    for run in lost:
        cause = "; ".join(filter(None, [str(run.status.get("cause") or ""), *run.problems])) or ABSENT
        rows.append((Item(run.name), Item(run.state), Item(cause), Item(_log(run, base))))
    headings = tuple(Heading(name, numeric=False) for name in ("run", "state", "cause", "log"))
    return Table(headings, tuple(rows))


def pruned(runs: Sequence[Run], base: Path) -> Table | None:
    """Runs that the search stopped for good: why and where, and where the log lies."""
    rows = [
        (Item(run.name), Item(str(run.status.get("cause") or ABSENT)), Item(_log(run, base)))
        for run in runs
        if run.state == "pruned"
    ]
    headings = tuple(Heading(name, numeric=False) for name in ("run", "why", "log"))
    return Table(headings, tuple(rows)) if rows else None


def _log(run: Run, base: Path) -> str:
    """Where its log lies: as its status says, or where a sweep puts it; absent where it has not begun."""
    told = run.status.get("log")
    log = Path(os.path.normpath(run.folder / str(told or f"../../logs/{run.folder.name}.txt")))
    if not told and not log.is_file():
        return ABSENT
    return str(log.relative_to(base) if log.is_relative_to(base) else log)
