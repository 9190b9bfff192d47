"""The tables of the evidence as Markdown, and their places between markers in README files.

    <!-- evidence -->      in an experiment's README: the paper's numbers, ours, each expectation, the verdict, the cost
    <!-- experiments -->   in the project's and in experiments/: paper, command, claim, verdict, commit

Everything between a marker and its end (``<!-- /evidence -->``) is written by ``distill report experiments``.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from distill.errors import BadInput
from distill.evidence.claim import ALONE, ORIGINS, Claim, Told
from distill.evidence.results import Result
from distill.evidence.verdict import Finding, Judgement, judged
from distill.reports.escaping import in_markdown
from distill.reports.intervals import over_seeds
from distill.reports.measures import ABSENT, MINUS, Format, measure
from distill.storage import write_text

EVIDENCE, EXPERIMENTS = "evidence", "experiments"
_REFERENCE = ("teacher", "control", "control_compute")
"""Subjects beside the student that have a line of their own in the measured table."""
_CLOCKED = ("tokens/s", "samples/s", "MiB", "ms", "s", "x")
"""Units of what a busy machine says otherwise of one and the same model."""


def summary(claims: Sequence[tuple[Claim, Sequence[Result]]], to: str = "") -> str:
    """Paper, command, claim, verdict, commit: one line an experiment.

    Args:
        claims: each with its results.
        to: where the experiments' folders lie, seen from the file, with its slash.
    """
    rows = []
    for claim, results in claims:
        verdict = judged(claim, results).counted
        link = f"[{in_markdown(claim.paper)}]({to}{claim.name}/README.md)"
        rows.append((link, f"`{claim.command}`", in_markdown(claim.claim), f"**{verdict}**", _commits(results)))
    return _table(("paper", "command", "claim", "verdict", "commit"), rows)


def evidence(claim: Claim, results: Sequence[Result]) -> str:
    """All that an experiment's README says of numbers."""
    own = [one for one in results if not one.swept]
    verdict = judged(claim, own)
    parts = [f"Verdict: **{verdict.counted}**. Claim: {in_markdown(claim.claim)}"]
    parts += [f"Source: {claim.paper}, <{claim.source}>."]
    parts += [part for told in claim.tables for part in _told(told)]
    if own:
        parts += ["### Measured here", _measured(claim, own)]
    parts += ["### Expected, and what came of it", _expectations(verdict)]
    parts += [_cost(claim, own) if own else f"Not run yet: `{claim.command}`"]
    return "\n\n".join(parts)


def replaced(path: Path, name: str, text: str, check: bool = False) -> bool:
    """Put ``text`` between the markers ``name`` of a file; whether that changed it.

    Args:
        path: a Markdown file.
        name: ``evidence`` or ``experiments``.
        text: what to put there.
        check: only look.

    Raises:
        BadInput: the file or its markers are missing.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, opened, rest = old.partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise BadInput(str(path), f"has no place for its table ({begin} … {end})", remedy="write both lines into it")
    new = f"{before}{begin}\n\n{text}\n\n{end}{after}"
    if new != old and not check:
        write_text(path, new)
    return new != old


def _told(told: Told) -> list[str]:
    rows = [tuple(in_markdown(cell) for cell in row) for row in told.rows]
    note = " ".join(filter(None, [ORIGINS[told.origin], in_markdown(told.note)]))
    return [f"### {in_markdown(told.title)}", _table(told.columns, rows), note]


def _measured(claim: Claim, results: Sequence[Result]) -> str:
    """One line an arm's student and each other subject, one column a metric: mean ± 95 % interval over seeds."""
    arms = tuple(claim.arms) or (ALONE,)
    places = [(arm if arm != ALONE else "student", arm, "student") for arm in arms]
    for subject in _subjects(results):
        groups = _alike(arms, results, subject)
        places += [(_named(subject, group, len(groups) == 1), group[0], subject) for group in groups]
    forms = {metric: _form(results, metric, places) for metric in claim.metrics}
    rows = []
    for name, arm, subject in places:
        cells = [_number(_taken(results, metric, arm, subject), forms[metric]) for metric in claim.metrics]
        if any(cell != ABSENT for cell in cells):
            rows.append((in_markdown(name), *cells))
    return _table(("", *(_head(metric, forms[metric]) for metric in claim.metrics)), rows, numeric=True)


def _named(subject: str, arms: Sequence[str], alone: bool) -> str:
    """What a line is called whose numbers several arms share."""
    if alone:
        return subject
    return f"{arms[0]}, {subject}" if len(arms) == 1 else f"{subject} of {', '.join(arms)}"


def _head(metric: str, form: Format) -> str:
    """What a column is called, in the unit that its numbers are written in."""
    title = measure(metric, form.unit).title
    return f"{title} ({form.unit})" if form.unit and form.unit not in title else title


def _subjects(results: Sequence[Result]) -> list[str]:
    there = {one.subject for one in results}
    known = [subject for subject in _REFERENCE if subject in there]
    return known + sorted(there - {"student", *known})


def _alike(arms: Sequence[str], results: Sequence[Result], subject: str) -> list[list[str]]:
    """Arms that have the subject, those beside each other in which it is the same (a shared teacher or control)."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for arm in arms:
        of_arm = [one for one in results if (one.arm, one.subject) == (arm, subject)]
        if of_arm:
            told = tuple(sorted((one.seed, one.metric, one.value) for one in of_arm if one.unit not in _CLOCKED))
            groups.setdefault(told, []).append(arm)
    return list(groups.values())


def _form(results: Sequence[Result], metric: str, places: Sequence[tuple[str, str, str]]) -> Format:
    """One way of writing all numbers of a column."""
    taken = [_taken(results, metric, arm, subject) for _, arm, subject in places]
    unit = next((one.unit for found in taken for one in found), "")
    return measure(metric, unit).format([over_seeds([one.value for one in found]).value for found in taken if found])


def _taken(results: Sequence[Result], metric: str, arm: str, subject: str) -> list[Result]:
    """The results of a cell, one a seed: on the test text, or where a number stands on none."""
    of_cell = [one for one in results if (one.arm, one.subject, one.metric) == (arm, subject, metric)]
    found = {one.seed: one for one in of_cell if one.split in ("test", "none")} or {one.seed: one for one in of_cell}
    return list(found.values())


def _number(taken: Sequence[Result], form: Format) -> str:
    if not taken:
        return ABSENT
    estimate = over_seeds([one.value for one in taken])
    half = f" {form.half(estimate.half)}" if estimate.half else ""
    return form.text(estimate.value) + half


def _expectations(verdict: Judgement) -> str:
    rows = [
        (in_markdown(one.expectation.says), _compared(one), *_difference(one), str(one.seeds), one.outcome)
        for one in verdict.findings
    ]
    heads = (
        "expected",
        "compared",
        "paired difference",
        "bootstrap over seeds",
        "Student's t, 95 %",
        "seeds",
        "outcome",
    )
    return _table(heads, rows)


def _compared(finding: Finding) -> str:
    told = finding.expectation
    if told.relation == "near":
        return in_markdown(f"{told.metric}: {told.first} within {told.margin:g} of {told.second}")
    by = f" by {told.margin:g}" if told.margin else ""
    return in_markdown(f"{told.metric}: {told.first} below {told.second}{by}")


def _difference(finding: Finding) -> tuple[str, str, str]:
    """The mean and its two intervals."""
    if not math.isfinite(finding.difference):
        return ABSENT, ABSENT, ABSENT
    mean, half = finding.difference, finding.half
    ends = ((finding.low, finding.high), (mean - half, mean + half))
    low, strict = (f"{_signed(low)} … {_signed(high)}" for low, high in ends)
    return _signed(mean), low, strict


def _signed(value: float) -> str:
    text = f"{value:+.4f}" if abs(value) < 100 else f"{value:+,.0f}"
    return text.replace("-", MINUS)


def _cost(claim: Claim, results: Sequence[Result]) -> str:
    seeds = sorted({one.seed for one in results})
    day = max(one.ended for one in results)[:10]
    scale = f" {claim.scale}" if claim.scale else ""
    return (
        f"`{claim.command}`: {len({one.run for one in results})} runs over seeds {', '.join(map(str, seeds))}, "
        f"{_minutes(results):.0f} minutes in all on a shared machine, {day}, commit {_commits(results)}. "
        f"± is a 95 % interval over the seeds (Student's t). The outcomes follow from the bootstrap, which with three "
        f"seeds means that all three agree; `distill/evidence/verdict.py` has the rule.{scale}"
    )


def _minutes(results: Sequence[Result]) -> float:
    """That any of the runs was at work: runs of one process overlap."""
    spans = {(datetime.fromisoformat(one.ended), one.minutes or 0.0) for one in results if one.ended}
    total, reached = timedelta(), datetime.min.replace(tzinfo=UTC)
    for begin, end in sorted((end - timedelta(minutes=minutes), end) for end, minutes in spans):
        total += max(end - max(begin, reached), timedelta())
        reached = max(reached, end)
    return total.total_seconds() / 60


def _commits(results: Sequence[Result]) -> str:
    commits = list(dict.fromkeys(one.commit for one in results))
    return ABSENT if not commits else ", ".join(f"`{one}`" for one in commits[:2]) + (" …" if len(commits) > 2 else "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numeric: bool = False) -> str:
    rule = [":---", *(("---:" if numeric else ":---") for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))
