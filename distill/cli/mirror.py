"""A report in the run's tracker: its page, its tables, a chart of each, and a run's test numbers as plain keys.

A tracker that fails is told of in one line; the files on disk are the report.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli.build import instantiate
from distill.cli.definitions import attribute, find
from distill.rows import METRICS, read

if TYPE_CHECKING:
    from distill.reports.document import Document, Item
    from distill.reports.report import Written
    from distill.training.tracking import Sheet

_SHOWN = ("All settings", "Result", "The best setting", "Main effects", "Token by token")


def mirrored(written: "Written", folder: Path, config: Mapping[str, Any], plugins: tuple[str, ...]) -> None:
    """Show a report that was written in the tracker that the config names.

    Args:
        written: the report.
        folder: of the run or of the sweep.
        config: whose ``logger`` it is.
        plugins: packages whose trackers may be named.
    """
    definition = find(str(config["logger"].get("_target_")))
    if definition is None or attribute(definition, "shows") is not True:
        return  # without importing what trains
    from distill.training.tracking import complain

    try:
        tracker = instantiate(config["logger"], plugins=plugins)
        tracker.show(folder, written.html, sheets(written.document), measured(folder))
    except Exception as problem:  # a tracker may fail in any way, and a report must not fail with it
        complain(f"the tracker does not show the report ({problem}); it lies in {written.html}")


def sheets(document: "Document") -> dict[str, "Sheet"]:
    """The tables of a report's first sections, by title, with the numbers behind the figures."""
    from distill.reports.document import Table

    found = {}
    for section in document.sections:
        tables = [block for block in section.blocks if isinstance(block, Table)]
        for number, table in enumerate(tables if section.title.startswith(_SHOWN) else ()):
            title = (
                section.title.partition(":")[0] if number == 0 else f"{section.title.partition(':')[0]}, {number + 1}"
            )
            found[title] = _sheet(table)
    return found


def measured(folder: Path) -> dict[str, float]:
    """A run's final numbers: ``test/bits_per_byte``, ``control/test/bits_per_byte``, ``parameters``, …

    The student's have no prefix, as its curves have none. Left out: what is undefined, and the bins of the
    reliability diagrams. Empty for a sweep, whose runs have theirs.
    """
    file = folder / METRICS
    rows = [row for row in read(file) if row.split in ("test", "none")] if file.is_file() else []
    found = {}
    for row in rows:
        place = [] if row.subject == "student" else [row.subject]
        place += ["test"] if row.split == "test" else []
        if math.isfinite(row.value) and not row.metric.startswith("reliability/"):
            found["/".join([*place, row.metric])] = row.value
    return found


def _sheet(table: Any) -> "Sheet":
    from distill.training.tracking import Sheet

    columns = [" ".join(filter(None, [heading.title, heading.unit])) or "model" for heading in table.headings]
    names = [name if columns.index(name) == place else f"{name} ({place})" for place, name in enumerate(columns)]
    return Sheet(tuple(names), tuple(tuple(_plain(item) for item in row) for row in table.rows))


def _plain(item: "Item") -> str | float:
    return item.text if item.value is None else float(item.value)
