"""One measured number, one JSON line. Every number in a report can be found in a run's ``metrics.jsonl``.

Imports no torch: a report needs only this. The file is append-only while a run lives; a resumed run first cuts
the lines that lie beyond its checkpoint (``cut_after``), so that no step is ever told twice.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from distill.errors import BadInput

METRICS = "metrics.jsonl"
WALL_CLOCK_UNITS = frozenset({"s", "ms", "tokens/s", "MiB", "J", "x"})
"""Units whose values differ between two runs of one config; everything else is equal bit for bit."""


@dataclass(frozen=True)
class Row:
    """One number.

    Attributes:
        subject: whose: ``teacher``, ``student``, ``control``, ``control_compute``, or an exported file's name.
        metric: what: ``bits_per_byte``, ``loss/kd``, ``reliability/03/accuracy``, …
        value: the number; NaN is kept as null and means "measured and undefined".
        unit: ``nats/token`` (``1/token`` where a loss has no unit), ``bits/byte``, ``tokens/s``, ``ms``, ``MiB``,
            ``bytes``, ``count``, ``fraction``, ``1``, or ``x`` (how many times as fast, measured side by side).
        split: the text it was measured on: ``train``, ``validation``, ``test``, or ``none``.
        step: optimiser step of the subject at that moment.
        seed: the run's seed.
        n: how many tokens, samples or repetitions stand behind it.
        low, high: a 95 % interval where there is one.
    """

    subject: str
    metric: str
    value: float
    unit: str
    split: str
    step: int
    seed: int
    n: int = 1
    low: float | None = None
    high: float | None = None

    def line(self) -> str:
        told = {key: _plain(value) for key, value in asdict(self).items()}
        return json.dumps({k: v for k, v in told.items() if v is not None or k == "value"}, allow_nan=False)


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add rows to a file, each line whole: one write for all of them, flushed before returning."""
    text = "".join(row.line() + "\n" for row in rows)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()


def read(path: Path) -> list[Row]:
    """All rows of a file. A last line without its newline (a killed writer) is not a row yet and is left out.

    Raises:
        BadInput: the file is missing, or a whole line is not a row (file and line are named).
    """
    return list(_read(path))


def _read(path: Path) -> Iterator[Row]:
    if not path.is_file():
        raise BadInput(str(path), "no such file", remedy="a run folder holds metrics.jsonl once it has measured")
    known = {field.name for field in fields(Row)}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), start=1):
        if not line.endswith("\n"):
            return
        try:
            told = json.loads(line)
            told["value"] = math.nan if told["value"] is None else told["value"]
            yield Row(**{key: value for key, value in told.items() if key in known})
        except (ValueError, TypeError, KeyError) as problem:
            raise BadInput(f"{path}:{number}", f"not a row ({problem})", remedy="remove the line") from None


def cut_after(path: Path, subject: str, step: int) -> None:
    """Forget what ``subject`` said after ``step``, before it goes on from a checkpoint made there."""
    keep(path, lambda row: row.subject != subject or row.step <= step)


def keep(path: Path, wanted: Callable[[Row], bool]) -> None:
    """Rewrite a file with the wanted rows only; the new file replaces the old one whole or not at all."""
    if not path.exists():
        return
    kept = [row for row in read(path) if wanted(row)]
    draft = path.with_suffix(".draft")
    with draft.open("w", encoding="utf-8") as file:
        file.writelines(row.line() + "\n" for row in kept)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
