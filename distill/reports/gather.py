"""Folders into facts: a run folder, a sweep folder, a folder of runs, or several of them.

Reads only; nothing is guessed. What a run lacks (no config, no metrics yet, a broken line) becomes one of its
``problems`` and is said in the report, so that one broken run never hides fifteen good ones.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from distill import rows
from distill.errors import BadInput
from distill.reports.said import Passage, Reasoned, Sample, said
from distill.rows import Row
from distill.secrets import redacted

SUBJECTS = ("teacher", "student", "control", "control_compute")
"""In the order in which a report names them; exported files follow by name."""
DATA = "data"
"""The subject of rows that count documents, tokens and what was dropped."""

_SWEEP = "sweep.json"
_OF_A_RUN = ("config.yaml", "status.json", "provenance.json", rows.METRICS)


@dataclass(frozen=True, eq=False)
class Run:
    """One run folder.

    Attributes:
        folder: where it lies.
        config: the resolved config, plain.
        provenance: where the numbers come from: command, commit, versions, hashes, formula, citations, …
        status: ``state`` (queued, running, done, failed, pruned), ``cause``, ``log``, ``exit``.
        rows: every measured number.
        samples: continuations.
        swept: this run's values of the swept keys, as its sweep's job says.
        problems: what could not be read, one line each.
        passages: held-out text, token by token.
        reasoned: test questions with reasons and answers.
    """

    folder: Path
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    status: Mapping[str, Any]
    rows: tuple[Row, ...]
    samples: tuple[Sample, ...]
    swept: Mapping[str, str]
    problems: tuple[str, ...]
    passages: tuple[Passage, ...] = ()
    reasoned: tuple[Reasoned, ...] = ()

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def state(self) -> str:
        """What status.json says; without one, a run with test rows of a student is taken for done."""
        told = self.status.get("state")
        if told is not None:
            return str(told)
        if not self.rows:
            return "queued"
        return "done" if self.last("student", "nats_per_token") else "unfinished"

    @cached_property
    def _index(self) -> dict[tuple[str, str, str], list[Row]]:
        index: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in self.rows:
            index[row.subject, row.metric, row.split].append(row)
        return index

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Every model that something was measured on, in the order of a table."""
        seen = {subject for subject, _, _ in self._index} - {DATA}
        return tuple(s for s in SUBJECTS if s in seen) + tuple(sorted(seen.difference(SUBJECTS)))

    def metrics(self, split: str) -> list[str]:
        """Names measured on that split, in the order of their first row."""
        return list(dict.fromkeys(metric for _, metric, told in self._index if told == split))

    def series(self, subject: str, metric: str, split: str) -> list[Row]:
        """A number over the steps, sorted; a step told twice keeps its last word."""
        by_step = {row.step: row for row in self._index.get((subject, metric, split), ())}
        return [by_step[step] for step in sorted(by_step)]

    def last(self, subject: str, metric: str) -> Row | None:
        """The reported number: the last row on the test text, or on no text (sizes, speeds)."""
        for split in ("test", "none"):
            found = self._index.get((subject, metric, split))
            if found:
                return found[-1]
        return None

    def best(self, subject: str, metric: str = "nats_per_token") -> Row | None:
        """The lowest finite number on the validation text; an undefined one is never the best."""
        found = [row for row in self.series(subject, metric, "validation") if row.value == row.value]
        return min(found, key=lambda row: row.value, default=None)


@dataclass(frozen=True)
class Evidence:
    """All that a report is made from.

    Attributes:
        folders: as given.
        runs: every run, finished or not.
        keys: the keys that were swept, as ``sweep.json`` names them; empty where no sweep says so.
        command: of the sweep, if there is one.
    """

    folders: tuple[Path, ...]
    runs: tuple[Run, ...]
    keys: tuple[str, ...] = ()
    command: str = ""

    @property
    def single(self) -> Run | None:
        """The run, where the evidence is one run's folder."""
        return self.runs[0] if len(self.runs) == 1 and not self.keys else None


def gather(folders: Sequence[Path]) -> Evidence:
    """Read every run that the folders hold.

    Raises:
        BadInput: a folder is missing or holds no run, or the only run cannot be read.
    """
    jobs: dict[Path, Mapping[str, str]] = {}
    keys: dict[str, None] = {}
    commands: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(str(folder), "no such folder", remedy="give a run folder or a sweep folder")
        if (folder / _SWEEP).is_file():
            plan = _plan(folder)
            jobs |= _planned(folder, plan)
            keys |= dict.fromkeys(_key(key) for key in plan.get("swept", ()))
            commands += [command_line(plan["command"])] if plan.get("command") else []
        else:
            jobs |= {place: {} for place in _runs_in(folder)}
    runs = tuple(read_run(place, swept) for place, swept in jobs.items())
    if len(runs) == 1 and runs[0].problems and not runs[0].rows:
        raise BadInput(str(runs[0].folder), runs[0].problems[0], remedy="repair or remove the file it names")
    return Evidence(tuple(folders), runs, tuple(keys), "\n".join(commands))


def read_run(folder: Path, swept: Mapping[str, str] | None = None) -> Run:
    """One run folder, whatever of it is there."""
    problems: list[str] = []
    try:
        told = tuple(rows.read(folder / rows.METRICS)) if (folder / rows.METRICS).exists() else ()
    except (BadInput, UnicodeDecodeError) as problem:
        told = ()
        problems.append(str(problem))
    samples, passages, reasoned = said(folder / "samples.jsonl", problems)
    return Run(
        folder=folder,
        config=_mapping(folder / "config.yaml", yaml.safe_load, problems),
        provenance=_mapping(folder / "provenance.json", json.loads, problems),
        status=_mapping(folder / "status.json", json.loads, problems),
        rows=told,
        samples=samples,
        passages=passages,
        reasoned=reasoned,
        swept=swept or {},
        problems=tuple(problems),
    )


def command_line(command: object) -> str:
    """A command as one line, whether it was kept as a string or as a list of words."""
    if isinstance(command, list):
        return " ".join(str(word) for word in command)
    return str(command)


def _plan(folder: Path) -> Mapping[str, Any]:
    problems: list[str] = []
    plan = _mapping(folder / _SWEEP, json.loads, problems)
    if problems:
        raise BadInput(str(folder / _SWEEP), problems[0])
    return plan


def _planned(folder: Path, plan: Mapping[str, Any]) -> dict[Path, Mapping[str, str]]:
    """Every run that the sweep means to execute, begun or not, with its values of the swept keys."""
    inside = folder / "runs"
    there = sorted(place.name for place in inside.iterdir() if place.is_dir()) if inside.is_dir() else []
    names = [str(name) for name in plan.get("runs", ())] or there
    found: dict[Path, Mapping[str, str]] = {}
    for name in names:
        job = _mapping(folder / "jobs" / f"{Path(name).name}.json", json.loads, [])
        swept = job.get("swept", {})
        found[inside / Path(name).name] = {_key(k): str(v).strip("'\"") for k, v in swept.items()}
    if not found:
        raise BadInput(str(folder), "this sweep holds no run yet", remedy="wait until one has begun")
    return found


def _runs_in(folder: Path) -> list[Path]:
    """The folder itself if it is a run's, else the runs directly in it or in its ``runs/``."""
    if _is_run(folder):
        return [folder]
    inside = folder / "runs" if (folder / "runs").is_dir() else folder
    found = sorted(place for place in inside.iterdir() if place.is_dir() and _is_run(place))
    if not found:
        raise BadInput(str(folder), "holds no run", remedy="give a run folder, a sweep folder or a folder of runs")
    return found


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _OF_A_RUN)


def _key(key: object) -> str:
    return str(key).lstrip("+~")


def _mapping(path: Path, parse: Any, problems: list[str]) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        told = parse(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError, RecursionError) as problem:
        problems.append(f"{path}: cannot be read ({' '.join(str(problem).split())[:120]})")
        return {}
    if isinstance(told, dict):
        return redacted(told)
    problems.append(f"{path}: is not a mapping")
    return {}
