"""What an experiment sets out to show: ``experiments/NAME/claim.toml``, written before anything is run.

::

    paper = "Anshumann et al. 2025, Sparse Logit Sampling"
    source = "https://arxiv.org/abs/2503.16870"
    claim = "Fifty random draws of the teacher's distribution teach as well as all of it; its top 12 tokens do not."
    metrics = ["nats_per_token", "ece"]          # columns of the measured table, and what is kept of every run

    [arms]                                       # name = the overrides that make it; left out where there is one
    ce = ["objective=cross_entropy", "teacher=none"]
    full = []

    [[tables]]                                   # what the paper measured
    title = "3B into 300M, language modelling loss"
    origin = "second-hand"                       # read in: paper | repository | second-hand
    columns = ["arm", "loss"]
    rows = [["ce", "2.81"], ["full", "2.75"]]

    [[expected]]                                 # what should come out, told before it did
    says = "the whole distribution teaches more than the text alone"
    metric = "nats_per_token"
    order = ["full", "ce"]                       # the lower number first; every neighbouring pair is one expectation
    margin = 0.01                                # by at least this much; 0 where it is left out
    # or: near = "full", to = "draws", within = 0.02
    # or: higher = "full", than = "ce"     or: lower = "full", than = "ce"

A place is an arm (its student), ``arm/subject`` (``full/control``), or, without arms, a subject.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from distill.errors import BadInput

CLAIM = "claim.toml"
ALONE = "alone"
"""The arm of an experiment that has but one."""
ORIGINS = {
    "paper": "Read in the paper.",
    "repository": "Read in the authors' repository.",
    "second-hand": "Second-hand: reported as, by others than the authors; not checked against the paper.",
}
_KEYS = {"paper", "source", "claim", "metrics", "arms", "tables", "expected", "scale"}
_FORMS = ({"order"}, {"lower", "than"}, {"higher", "than"}, {"near", "to", "within"})


@dataclass(frozen=True)
class Place:
    """Whose number: a subject of an arm's runs."""

    arm: str
    subject: str = "student"

    def __str__(self) -> str:
        subject = "" if self.subject == "student" else f" {self.subject}"
        return self.subject if self.arm == ALONE else self.arm + subject


@dataclass(frozen=True)
class Expectation:
    """One comparison that the claim predicts.

    Attributes:
        says: in words.
        metric, split: of the rows compared; an empty split takes the one that the number was reported on.
        first, second: places.
        relation: ``lower`` (first < second − margin), or ``near`` (|first − second| ≤ margin).
        margin: in the metric's unit.
    """

    says: str
    metric: str
    first: Place
    second: Place
    relation: str = "lower"
    margin: float = 0.0
    split: str = ""


@dataclass(frozen=True)
class Told:
    """A table as somebody else measured it."""

    title: str
    origin: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """An experiment's claim; ``name`` is its folder's."""

    name: str
    folder: Path
    paper: str
    source: str
    claim: str
    metrics: tuple[str, ...]
    arms: Mapping[str, tuple[str, ...]]
    tables: tuple[Told, ...]
    expected: tuple[Expectation, ...]
    scale: str = ""

    @property
    def command(self) -> str:
        """All that a person types."""
        return f"distill train experiment={self.name} -m seed=0,1,2"


def read(folder: Path) -> Claim | None:
    """The claim of an experiment's folder, or None where it makes none.

    Raises:
        BadInput: the file says something else than a claim.
    """
    path = folder / CLAIM
    if not path.is_file():
        return None
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        if unknown := set(told) - _KEYS:
            raise ValueError(f"no such key: {', '.join(sorted(unknown))}")
        arms = {str(name): tuple(map(str, keys)) for name, keys in told.get("arms", {}).items()}
        return Claim(
            name=folder.name,
            folder=folder,
            paper=told["paper"],
            source=told["source"],
            claim=told["claim"],
            metrics=tuple(told["metrics"]),
            arms=arms,
            tables=tuple(_table(one) for one in told.get("tables", ())),
            expected=tuple(found for one in told["expected"] for found in _expected(one, arms)),
            scale=told.get("scale", ""),
        )
    except (ValueError, KeyError, TypeError) as problem:
        reason = f"{problem} is missing" if isinstance(problem, KeyError) else str(problem)
        raise BadInput(str(path), reason, remedy="docs/experiments.md tells what a claim holds") from None


def _table(told: Mapping[str, Any]) -> Told:
    if told["origin"] not in ORIGINS:
        raise ValueError(f"origin is {told['origin']!r}, expected one of {', '.join(ORIGINS)}")
    rows = tuple(tuple(map(str, row)) for row in told["rows"])
    if any(len(row) != len(told["columns"]) for row in rows):
        raise ValueError(f"table {told['title']!r}: a row has not as many cells as there are columns")
    return Told(told["title"], told["origin"], tuple(told["columns"]), rows, told.get("note", ""))


def _expected(told: Mapping[str, Any], arms: Mapping[str, object]) -> list[Expectation]:
    form = set(told) - {"says", "metric", "split", "margin"}
    if form not in _FORMS:
        raise ValueError("an expectation has order, lower and than, higher and than, or near, to and within")
    kept = {"says": told["says"], "metric": told["metric"], "split": told.get("split", "")}
    margin = float(told.get("margin", 0.0))
    if "near" in told:
        first, second = _place(told["near"], arms), _place(told["to"], arms)
        return [Expectation(**kept, first=first, second=second, relation="near", margin=float(told["within"]))]
    order: Sequence[str] = told.get("order") or [told.get("lower") or told["than"], told.get("higher") or told["than"]]
    pairs = pairwise([_place(one, arms) for one in order])
    return [Expectation(**kept, first=first, second=second, margin=margin) for first, second in pairs]


def _place(text: str, arms: Mapping[str, object]) -> Place:
    arm, _, subject = text.partition("/")
    if not arms:
        return Place(ALONE, text)
    if arm not in arms:
        raise ValueError(f"{text!r} names no arm; there are {', '.join(arms)}")
    return Place(arm, subject or "student")
