"""README.md of an export, written from what the run wrote down: nothing in it is typed by hand.

The tables at the top are for reading; the last one holds every number of ``metrics.jsonl`` on the test text, and of
sizes and speeds, for every subject. What came from data, models or configs is escaped.

A licence is never guessed. It is taken from ``licence=``, else from what the teacher says of itself, else the card says
UNKNOWN in its first lines: an export is for trying a file out, which needs no licence; passing it on does.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from distill.reports.document import Heading, Item, Table
from distill.reports.escaping import fenced, in_markdown
from distill.reports.gather import SUBJECTS
from distill.reports.markdown import written
from distill.rows import Row
from distill.secrets import redacted_text

UNKNOWN = "unknown"
_LICENCE = re.compile(r"\A---\n(?:.*\n)*?licen[sc]e:[ \t]*([A-Za-z0-9.+-]{2,40})[ \t]*\n")
_SHOWN = {
    "bits_per_byte": "bits per byte",
    "perplexity": "perplexity",
    "top1_agreement": "top-1 agreement with the teacher",
    "kl_to_teacher": "KL to the teacher (nats/token)",
    "accuracy_top1": "top-1 accuracy",
    "ece": "ECE",
    "parameters": "parameters",
    "disk_bytes": "bytes on disk",
}
"""Of the table of results, in order. Speeds are not: those of the run are of other minutes than the file's."""


@dataclass(frozen=True)
class Facts:
    """What a card is written from.

    Attributes:
        name: the export's, which is the file's subject in the rows.
        student: whose file it is.
        file: the file that holds the weights.
        label: format and precision.
        how: who ran the file when it was re-checked.
        usage: Markdown.
        bound: the limits it was held to, by name.
        rows: of the run on test text or none, the file's among them.
        compared: the student's, measured beside the file on the same tokens.
        licence: given, found or unknown, and where it comes from.
        teacher: in words; None if there was none.
        command: that made the run, and the one that made this export.
        provenance: of the run, as far as there is one.
        positions: the longest text that it was made for.
    """

    name: str
    student: str
    file: str
    label: str
    how: str
    usage: str
    bound: Mapping[str, float]
    rows: Sequence[Row]
    compared: Sequence[Row]
    licence: tuple[str, str]
    teacher: str | None
    command: tuple[str, str]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    positions: int | None = None


def number(value: float) -> str:
    """As in every table of the card: six digits, whole numbers whole."""
    if not math.isfinite(value):
        return "undefined"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"


def card(facts: Facts) -> str:
    """The whole text."""
    parts = [
        _front(facts),
        f"# {in_markdown(facts.name)}",
        _opening(facts),
        f"## Use\n\n{facts.usage}",
        f"## Scores\n\n{written(_results(facts))}",
        f"## The file beside the student it was made from\n\n{_compared(facts)}",
        f"## Origin\n\n{_origin(facts)}",
        f"## Limits\n\n{_limits(facts)}",
        f"## Reproduce\n\n{fenced(chr(10).join(filter(None, facts.command)), 'sh')}",
        _citations(facts),
        f"## Every number\n\n<details>\n\n{written(_everything(facts.rows))}\n\n</details>",
    ]
    return redacted_text("\n\n".join(part for part in parts if part) + "\n")


def licence_of(folder: Path | None) -> tuple[str, str]:
    """What a model's folder says of its licence: the front matter of its card; ``unknown`` where it says nothing."""
    try:
        text = "" if folder is None else (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    found = _LICENCE.match(text)
    if found is None or found[1].lower() == UNKNOWN:
        return UNKNOWN, "nobody says"
    return found[1].lower(), f"from the card of {folder}"


def _front(facts: Facts) -> str:
    """Of a model hub's kind: read by machines."""
    lines = ["library_name: transformers"] if facts.label.startswith("huggingface") else []
    lines += ["pipeline_tag: text-generation", "tags: [distillation]"]
    return "\n".join(["---", f"license: {facts.licence[0]}", *lines, "---"])


def _opening(facts: Facts) -> str:
    licence, source = facts.licence
    loud = (
        "**Licence: UNKNOWN.** Nobody said under which licence the teacher and the data were given, and this file is "
        "made of both. Do not pass it on before you know; `distill export … licence=NAME` writes it here."
        if licence == UNKNOWN
        else f"Licence: {in_markdown(licence)} ({in_markdown(source)})."
    )
    taught = "trained without a teacher" if facts.teacher is None else f"distilled from {in_markdown(facts.teacher)}"
    said = f"`{facts.file}` is the {in_markdown(facts.student)} of a run, {taught}, as {in_markdown(facts.label)}."
    return f"{said}\n\n{loud}"


def _results(facts: Facts) -> Table:
    """Subjects are columns: there are few, and their numbers many."""
    subjects = _subjects(facts.rows)
    told = {(row.subject, row.metric): row for row in facts.rows}
    headings = (Heading("", numeric=False), *(Heading(one) for one in subjects))
    metrics = [metric for metric in _SHOWN if any((one, metric) in told for one in subjects)]
    lines = tuple((Item(_SHOWN[metric]), *(_item(told.get((one, metric))) for one in subjects)) for metric in metrics)
    control = "" if any(one.startswith("control") for one in subjects) else " There is no control: no claim is made."
    caption = (
        "Test text; in brackets 95 % intervals over the text. A control is the same model trained without a teacher, "
        f"for as many steps or for as much compute. The file: on {_tokens(facts):,} tokens.{control}"
    )
    return Table(headings, lines, caption)


def _tokens(facts: Facts) -> int:
    return max((row.n for row in facts.rows if row.subject == facts.name and row.split == "test"), default=0)


def _compared(facts: Facts) -> str:
    told = {row.metric: row for row in facts.rows if row.subject == facts.name}
    limits = "; ".join(f"{name} {value:g}" for name, value in facts.bound.items())
    said = f"Run by {facts.how}. Held to: {limits}; a file beyond it is not written."
    return f"{in_markdown(said)}\n\n{written(beside(list(told.values()), facts.compared, facts.name, facts.student))}"


def beside(file: Sequence[Row], student: Sequence[Row], name: str, other: str, intervals: bool = True) -> Table:
    """The re-check as one table: file and student on the same tokens, in the same minutes.

    Args:
        intervals: shown too; a terminal is narrow.
    """
    own = {row.metric: row for row in student}
    shown = [row for row in file if not row.metric.startswith("reliability/")]
    headings = (Heading("", numeric=False), Heading(name), Heading(other), Heading("unit", numeric=False))
    lines = []
    for row in shown:
        cells = _item(row), _item(own.get(row.metric))
        cells = cells if intervals else tuple(replace(cell, detail="") for cell in cells)
        lines.append((Item(row.metric), *cells, Item(row.unit)))
    return Table(headings, tuple(lines))


def _origin(facts: Facts) -> str:
    told = facts.provenance
    pairs = [("teacher", facts.teacher or "none"), ("licence", " — ".join(facts.licence))]
    data = told.get("data") or {}
    if isinstance(data, Mapping) and data:
        pairs += [("data", str(data.get("source")))]
        pairs += [(f"data, {name}", _counts(split)) for name, split in (data.get("splits") or {}).items()]
    pairs += [(f"sha256 of the {name}", str(value)) for name, value in (told.get("hashes") or {}).items()]
    pairs += [("seed", str(told["seed"]))] if "seed" in told else []
    pairs += [(name, str(version)) for name, version in (told.get("versions") or {}).items() if version]
    source = told.get("source") or {}
    pairs += [(f"code, {name}", str(value)) for name, value in source.items() if value]
    rows = tuple((Item(name), Item(value)) for name, value in pairs)
    table = written(Table((Heading("", numeric=False), Heading("", numeric=False)), rows))
    formula = told.get("formula")
    return table + (f"\n\nObjective:\n\n{fenced(formula)}" if formula else "")


def _counts(split: Mapping[str, Any]) -> str:
    """``documents 127, pieces 558``."""
    return ", ".join(
        f"{name.replace('_', ' ')} {number(value) if isinstance(value, int | float) else json.dumps(value)}"
        for name, value in split.items()
    )


def _limits(facts: Facts) -> str:
    longest = f" Texts beyond {facts.positions} tokens were never seen." if facts.positions else ""
    lines = [
        "The scores are of the text named above; of other text they say nothing.",
        "A student repeats what its teacher says, right or wrong, and what its data held.",
        f"It was not tested for safety, bias, or facts.{longest}",
        "Tokens a second depend on the machine; both columns of a table were measured in the same minutes.",
    ]
    seeds = {row.seed for row in facts.rows}
    if len(seeds) == 1:
        lines.append("One seed: the intervals are over the text, not over training runs.")
    return "\n".join(f"- {in_markdown(line, start=True)}" for line in lines)


def _citations(facts: Facts) -> str:
    told = facts.provenance.get("citations")
    return f"## Sources of the objective\n\n{fenced(told, 'bibtex')}" if told else ""


def _everything(rows: Sequence[Row]) -> Table:
    subjects = _subjects(rows)
    told = {(row.subject, row.metric): row for row in rows}
    metrics = list(dict.fromkeys((row.metric, row.unit) for row in rows))
    headings = (Heading("", numeric=False), Heading("unit", numeric=False), *(Heading(one) for one in subjects))
    lines = tuple(
        (Item(metric), Item(unit), *(_item(told.get((one, metric))) for one in subjects)) for metric, unit in metrics
    )
    return Table(headings, lines)


def _subjects(rows: Sequence[Row]) -> list[str]:
    seen = {row.subject for row in rows}
    return [one for one in SUBJECTS if one in seen] + sorted(seen.difference(SUBJECTS))


def _item(row: Row | None) -> Item:
    if row is None:
        return Item("—")
    ends = "" if row.low is None or row.high is None else f"{number(row.low)} to {number(row.high)}"
    return Item(number(row.value), row.value, ends)
