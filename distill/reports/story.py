"""Which sections a report has and in which order: the document of one run, and that of several.

A section whose facts are not there is left out, and what its absence means is said among the remarks.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from distill.reports import (
    account,
    calibration,
    curves,
    domains,
    effects,
    heatmap,
    keycurve,
    pareto,
    passages,
    reasons,
    results,
    runlist,
    teaching,
)
from distill.reports.cells import Cell, Design, design
from distill.reports.continuations import continuations
from distill.reports.document import Block, Document, Section
from distill.reports.gather import Evidence, Run
from distill.reports.measures import BITS, NATS, UNDEFINED
from distill.reports.verdict import Regime, Verdict, verdict


def story(evidence: Evidence, base: Path) -> Document:
    """The report's document.

    Args:
        evidence: the facts.
        base: the folder the report will lie in; links are relative to it.
    """
    run = evidence.single
    return _of_run(run) if run else _of_runs(evidence, base)


def _of_run(run: Run) -> Document:
    cell = Cell({}, (run,))
    judged = verdict(cell)
    return Document(
        title=run.name,
        kicker="Distillation run",
        headline=judged.headline,
        sentence=judged.sentence,
        remarks=tuple(_remarks(run)),
        sections=_sections(
            ("Result", [results.results(cell) if cell.subjects else None, results.differences(cell)]),
            ("Learning curves", [curves.learning([run], run.subjects)]),
            ("Several teachers", teaching.several(run)),
            ("Calibration", [calibration.reliability(cell)]),
            ("Token by token", [passages.passages(run)]),
            ("By domain", domains.by_domain(cell)),
            ("Questions and reasons", [reasons.reasons(run)]),
            ("Continuations", [continuations(run)]),
            ("Other measures", [results.others(cell)]),
            ("Objective", account.formula([run])),
            ("Data", account.counters([run])),
            ("Differences from the defaults", account.from_defaults(run)),
            ("Citations", account.citations([run])),
            ("Provenance", account.provenance(run)),
        ),
    )


def _of_runs(evidence: Evidence, base: Path) -> Document:
    runs, plan = evidence.runs, design(evidence)
    verdicts = [verdict(cell) for cell in plan.cells]
    chosen = best_cell(plan)
    cell = plan.cells[chosen] if chosen is not None else None
    title = evidence.folders[0].resolve().name if len(evidence.folders) == 1 else f"{len(evidence.folders)} folders"
    subjects = tuple(dict.fromkeys(s for run in runs for s in run.subjects))
    headline, sentence = _summary(plan, verdicts, chosen)
    picked = f"The best setting: {cell.text(plan.names)}" if cell and cell.setting else "Result"
    by_setting = results.comparison(plan, verdicts, chosen) if plan.keys and plan.cells else None
    return Document(
        title=title,
        kicker=f"Sweep of {len(runs)} runs" if evidence.keys else f"{len(runs)} runs side by side",
        headline=headline,
        sentence=sentence,
        remarks=tuple(_remarks_on_all(evidence, plan)),
        sections=_sections(
            ("All settings", [by_setting]),
            (picked, [results.results(cell), results.differences(cell)] if cell else []),
            ("Along one key", keycurve.key_curves(plan)),
            ("Maps of two keys", heatmap.heatmaps(plan)),
            ("Main effects", [effects.main_effects(plan), effects.shares(plan)]),
            ("Pareto front", [pareto.fronts(plan)]),
            ("Learning curves", [curves.learning(runs, subjects)]),
            ("Calibration", [calibration.reliability(cell)] if cell else []),
            ("Token by token", [passages.passages(cell.runs[0])] if cell else []),
            ("Domain shift" if domains.shifted(plan) else "Settings by domain", [domains.shifts(plan)]),
            ("By domain", domains.by_domain(cell) if cell else []),
            ("Questions and reasons", [reasons.reasons(cell.runs[0])] if cell else []),
            ("Continuations", [continuations(cell.runs[0])] if cell else []),
            ("Runs that did not finish", [runlist.failures(runs, base)]),
            ("Runs that the search pruned", [runlist.pruned(runs, base)]),
            ("Runs", [runlist.run_list(runs, plan, base)]),
            ("Objective", account.formula(runs)),
            ("Data", account.counters(runs)),
            ("Citations", account.citations(runs)),
            ("Provenance", account.shared_provenance(runs, evidence.command)),
        ),
    )


def best_cell(plan: Design) -> int | None:
    """The setting whose student is best on the validation text (the test text is for reporting, not for choosing);
    runs with different tokenizers, or without validation rows, are compared in bits per byte on the test text.
    An undefined number is never the best."""
    validated = [cell.validation("student") for cell in plan.cells]
    if _tokenizers(plan) > 1 or not all(validated):
        validated = [cell.estimate("student", BITS.metric) for cell in plan.cells]
    found = [(e.value, i) for i, e in enumerate(validated) if e is not None and math.isfinite(e.value)]
    return min(found)[1] if found else None


def _tokenizers(plan: Design) -> int:
    hashes = [run.provenance.get("hashes") for cell in plan.cells for run in cell.runs]
    return len({str(told.get("tokenizer")) for told in hashes if isinstance(told, dict)})


def _summary(plan: Design, verdicts: Sequence[Verdict], chosen: int | None) -> tuple[str, str]:
    if chosen is None:
        return "No verdict", "No run has measured a student yet."
    judged, cell = verdicts[chosen], plan.cells[chosen]
    if len(plan.cells) == 1:
        return judged.headline, judged.sentence
    how = "on the validation text" if _tokenizers(plan) <= 1 and cell.validation("student") else "in bits per byte"
    best = f"Best of {len(plan.cells)} settings, chosen {how}: {cell.text(plan.names)}. {judged.sentence}"
    regimes: list[Regime] = [v.regime for v in verdicts]
    if set(regimes) == {"unknown"}:
        return judged.headline, best
    if len(set(regimes)) == 1:
        return judged.headline, f"{best} The regime is the same in all {len(plan.cells)} settings."
    keys = [key for key in plan.keys if len(plan.values[key]) > 1]
    if len(keys) == 1:
        return f"Whether the teacher pays depends on {plan.names[keys[0]]}", f"{_counted(plan, regimes)} {best}"
    return _REGIMES[judged.regime], f"{best} {_counted(plan, regimes)}"


_REGIMES: dict[Regime, str] = {
    "pays": "At its best setting the teacher pays",
    "steps may do as much": "At its best setting the teacher helps, but its compute may help as much as extra steps",
    "steps pay more": "At its best setting the teacher helps, but its compute would help more as extra steps",
    "does not pay": "Even at its best setting the teacher does not pay",
    "undecided": "At the best setting no difference can be told from chance",
    "unknown": "No verdict",
}


def _counted(plan: Design, regimes: Sequence[Regime]) -> str:
    """In which settings which regime holds: by the values of the one key, or by count."""
    keys = [key for key in plan.keys if len(plan.values[key]) > 1]
    said = []
    for regime in dict.fromkeys(regimes):
        cells = [cell for cell, found in zip(plan.cells, regimes, strict=True) if found == regime]
        if len(keys) == 1:
            where = f"at {plan.names[keys[0]]} {', '.join(cell.setting[keys[0]] for cell in cells)}"
        else:
            where = f"in {len(cells)} of {len(plan.cells)} settings"
        said.append(f"{_IN_SHORT[regime]} {where}")
    return "; ".join(said)[:1].upper() + "; ".join(said)[1:] + "."


_IN_SHORT: dict[Regime, str] = {
    "pays": "the teacher pays",
    "steps may do as much": "extra steps may do as much",
    "steps pay more": "extra steps pay more",
    "does not pay": "the teacher does not pay",
    "undecided": "no difference can be told from chance",
    "unknown": "not known",
}


def _remarks(run: Run) -> Iterable[str]:
    """What a reader of one run has to know first."""
    if run.state != "done":
        cause = run.status.get("cause")
        told = f" ({cause})" if cause else ""
        last = max((row.step for row in run.rows if row.subject == "student"), default=None)
        reached = "" if last is None else f"; the student’s last row is of step {last}"
        if run.state == "pruned":
            yield f"This run is a part of what it was meant to be: the search pruned it{told}{reached}."
        else:
            yield f"This run has not finished: {run.state}{told}{reached}."
    yield from run.problems
    if not run.rows:
        yield "Nothing has been measured yet."
        return
    yield from (str(note) for note in run.provenance.get("notes") or ())
    wanted = run.config.get("control", "both")
    for subject, meaning, asked in (
        ("teacher", "no gap to the teacher can be told", True),
        ("control", "whether the teacher helped cannot be told from the student alone", wanted in ("both", "steps")),
        ("control_compute", "whether extra steps would have done as much is not known", wanted in ("both", "compute")),
    ):
        if asked and run.last(subject, NATS.metric) is None:
            yield f"{subject} was not measured on the test text: {meaning}."
    undefined = {f"{row.subject}: {row.metric}" for row in run.rows if row.value != row.value}
    if undefined:
        names = ", ".join(sorted(undefined)[:6])
        yield f"{UNDEFINED} at some step ({len(undefined)} series): {names}{', …' if len(undefined) > 6 else ''}."
    if not run.provenance:
        yield "There is no provenance.json: where these numbers come from is not known."


def _remarks_on_all(evidence: Evidence, plan: Design) -> Iterable[str]:
    states: dict[str, int] = {}
    for run in evidence.runs:
        states[run.state] = states.get(run.state, 0) + 1
    pruned = states.pop("pruned", 0)
    if pruned:
        yield f"The search pruned {pruned} of {len(evidence.runs)} runs: they were stopped early and are in no result."
    if set(states) - {"done"}:
        told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        yield f"Not every run is finished: {told}."
    if plan.seeds < 2:
        yield "All runs share one seed: nothing here tells chance from effect."
    if len(set(filter(None, map(account.tested, evidence.runs)))) > 1:
        yield "Not every run was measured on the same test text: numbers of different texts cannot be compared."
    seeds = {len(cell.runs) for cell in plan.cells}
    if len(seeds) > 1:
        yield f"Settings have between {min(seeds)} and {max(seeds)} seeds."
    told = dict.fromkeys(str(note) for run in evidence.runs for note in run.provenance.get("notes") or ())
    for note in told:
        count = sum(note in (run.provenance.get("notes") or ()) for run in evidence.runs)
        yield (
            f"In {count} of {len(evidence.runs)} runs {note}."
            if count < len(evidence.runs)
            else f"In every run {note}."
        )
    if plan.cells and not any("control" in cell.subjects for cell in plan.cells):
        yield "No run trained a control: whether the teacher helped is not known."
    broken = sum(bool(run.problems) for run in evidence.runs)
    if broken:
        yield f"{broken} runs have files that could not be read; they are listed below."


def _sections(*parts: tuple[str, Sequence[Block | None]]) -> tuple[Section, ...]:
    found = ((title, tuple(block for block in blocks if block is not None)) for title, blocks in parts)
    return tuple(Section(title, blocks) for title, blocks in found if blocks)
