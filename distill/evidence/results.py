"""``results.jsonl`` of an experiment: what its sweep measured, condensed; written by the run itself, never by hand.

One line a run and number: which arm, which seed, whose, what, and where it comes from (commit, command, minutes).
Kept are the metrics that the claim names, on the split that they were reported on.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from distill.errors import BadInput
from distill.evidence.claim import ALONE, Claim
from distill.reports.gather import DATA, Run, command_line
from distill.rows import Row
from distill.storage import write_text

RESULTS = "results.jsonl"
ARM, SEED = "arm", "seed"


@dataclass(frozen=True)
class Result:
    """One number of one run.

    Attributes:
        arm, seed: which run of the design.
        swept: every other swept key and this run's value.
        subject, metric, value, unit, split, step, n, low, high: as in ``rows.Row``; NaN is undefined.
        run: the run folder's name.
        commit: of the code, with ``+changes`` where the tree differed from it.
        command: the run's own.
        minutes: that the whole run took, on a machine that may have been shared.
        ended: when it did; runs of one process overlap.
    """

    arm: str
    seed: int
    swept: Mapping[str, str]
    subject: str
    metric: str
    value: float
    unit: str
    split: str
    step: int
    n: int
    low: float | None
    high: float | None
    run: str
    commit: str
    command: str
    minutes: float | None
    ended: str

    def line(self) -> str:
        told = {key: None if value != value else value for key, value in asdict(self).items()}
        return json.dumps(told, allow_nan=False, ensure_ascii=False)


def condensed(claim: Claim, runs: Iterable[Run]) -> list[Result]:
    """The finished runs' numbers that the claim asks for, in the order of its arms, then by seed."""
    order = [*claim.arms, ALONE]
    wanted = {*claim.metrics, *(one.metric for one in claim.expected)}
    splits = {one.split for one in claim.expected}
    found = [one for run in runs if run.state == "done" for one in _of_run(run, wanted, splits)]
    return sorted(found, key=lambda one: (order.index(one.arm) if one.arm in order else len(order), one.seed))


def write(path: Path, results: Sequence[Result]) -> None:
    """The whole file, anew.

    Raises:
        ResourceStop: the place cannot be written.
    """
    write_text(path, "".join(one.line() + "\n" for one in results))


def read(folder: Path) -> list[Result]:
    """The results in an experiment's folder; none where it was never run.

    Raises:
        BadInput: a line is no result.
    """
    path = folder / RESULTS
    found: list[Result] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.is_file() else (), start=1):
        try:
            told = json.loads(line)
            found.append(Result(**{**told, "value": math.nan if told["value"] is None else float(told["value"])}))
        except (ValueError, TypeError, KeyError) as problem:
            raise BadInput(f"{path}:{number}", f"not a result ({problem})", remedy="run the experiment again") from None
    return found


def _of_run(run: Run, wanted: set[str], splits: set[str]) -> Iterable[Result]:
    """Reported numbers (test text, or none), and those of another split that an expectation names."""
    last: dict[tuple[str, str, str], Row] = {}
    for row in run.rows:
        if row.metric in wanted and row.subject != DATA and (row.split in ("test", "none") or row.split in splits):
            last[row.subject, row.metric, row.split] = row
    swept = dict(run.swept)
    arm, seed = swept.pop(ARM, ALONE), swept.pop(SEED, None)
    began, ended = run.provenance.get("began"), run.provenance.get("ended")
    for row in last.values():
        yield Result(
            arm=arm,
            seed=int(seed) if seed is not None else int(run.provenance.get("seed") or row.seed),
            swept=swept,
            subject=row.subject,
            metric=row.metric,
            value=row.value,
            unit=row.unit,
            split=row.split,
            step=row.step,
            n=row.n,
            low=row.low,
            high=row.high,
            run=run.name,
            commit=_commit(run),
            command=_typed(run),
            minutes=_minutes(began, ended),
            ended=str(ended or ""),
        )


def _typed(run: Run) -> str:
    """The run's command without the place of its folder, which is another on every machine."""
    words = run.provenance.get("command")
    if not isinstance(words, list):
        return command_line(words or "")
    return command_line([word for word in words if not str(word).startswith("paths.")])


def _commit(run: Run) -> str:
    source = run.provenance.get("source") or {}
    commit = str(source.get("commit") or "unknown")[:12]
    return f"{commit}+changes" if source.get("dirty") else commit


def _minutes(began: object, ended: object) -> float | None:
    if not began or not ended:
        return None
    span = datetime.fromisoformat(str(ended)) - datetime.fromisoformat(str(began))
    return round(span.total_seconds() / 60, 2)
