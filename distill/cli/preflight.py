"""Compare teachers before a training: distill preflight teacher=a,b,c student=… data=… [pilot=30]

First, from tokenizers and configs alone: which of them this student can learn from, and how their tokens meet. Then
each reads held-out text: likelihood, entropy, calibration, how often it is right and agrees with the student as it
begins, and what a run with it would take. With pilot=N the student is trained for a moment with each, and without a
teacher, at equal compute. One table and one page, in the order advised, with reasons. Any other key may be swept
instead of the teacher.
"""

import hashlib
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli import train
from distill.cli.arguments import Arguments
from distill.cli.compose import Composed, compose
from distill.errors import BadInput, BadInputs
from distill.ranges import Natural

if TYPE_CHECKING:
    from rich.console import Console

    from distill.cli.candidates import Candidate
    from distill.reports.choosing import Choice

LEAST, MOST = 32, 256
NONE = "no teacher"


@dataclass(frozen=True)
class Settings(train.Settings):
    """The keys of ``conf/preflight.yaml``: a run's, and how closely teachers are looked at."""

    samples: Natural = 128
    pilot: Natural = 0


def run(arguments: Arguments) -> int:
    """Look, ask, try, rank, and write it down."""
    from rich.console import Console

    from distill.cli.candidates import looked_at
    from distill.cli.quiet import quieten

    runs = _composed(replace(arguments.without_words(), multirun=False))
    quieten()
    console = Console(highlight=False, markup=False)
    candidates: list[Candidate] = []
    refused: dict[str, str] = {}
    for name, one in runs.items():
        try:
            found = one if isinstance(one, BadInput) else looked_at(name, one)
        except BadInput as problem:
            found = problem
        if isinstance(found, BadInput):
            refused[name] = str(found).partition("\n")[0]
        else:
            candidates.append(found)
    config = next((one.config for one in runs.values() if isinstance(one, Composed)), None)
    alone = None
    if config is not None and candidates and not arguments.dry_run:
        alone = _asked(candidates, refused, config, console)
    return _told(candidates, refused, alone, config, arguments, console)


def _composed(arguments: Arguments) -> dict[str, Composed | BadInput]:
    """Every candidate's config, or why there is none; by what was swept.

    Raises:
        BadInputs: there is but one, and it does not compose.
    """
    from distill.cli.sources import Sources
    from distill.sweeps.expansion import expand

    expansion = expand(arguments.overrides, Sources.of(arguments.config_dir, arguments.plugins).options)
    found: dict[str, Composed | BadInput] = {}
    for combination in expansion.combinations:
        swept = combination.swept
        name = " ".join(value if len(swept) == 1 else f"{key}={value}" for key, value in swept.items())
        try:
            one = compose(replace(arguments, overrides=combination.overrides))
            if not LEAST <= one.config["samples"] <= MOST:
                reason = f"expected a whole number from {LEAST} to {MOST}"
                raise BadInputs([BadInput(one.origin("samples"), reason, value=one.config["samples"])])
            found[name or one.choices.get("teacher", "teacher")] = one
        except BadInputs as problem:
            if len(expansion.combinations) == 1:
                raise
            found[name] = problem
    return found


def _asked(
    candidates: list["Candidate"], refused: dict[str, str], config: dict[str, Any], console: "Console"
) -> tuple[int, float] | None:
    """Let each read; then, if wanted, try each for a moment. What came of the student without a teacher, if tried."""
    import io

    from rich.console import Console

    from distill.cli.candidates import ask, piloted

    silent = Console(file=io.StringIO())
    dearest = max((_cost(one) for one in candidates), default=1.0)
    alone = None
    for one in list(candidates):
        try:
            parts = ask(one, config["samples"], console)
            if config["pilot"]:
                steps = round(config["pilot"] * dearest / _cost(one))
                with console.status(f"{one.name}: {steps} steps"):
                    one.pilot = piloted(parts, steps, True, silent)
        except BadInput as problem:  # what only its weights could tell
            refused[one.name] = str(problem).partition("\n")[0]
            candidates.remove(one)
            continue
        if config["pilot"] and alone is None:
            steps = round(config["pilot"] * dearest / (3 * one.estimate.student.flops_per_token))
            with console.status(f"{NONE}: {steps} steps"):
                alone = piloted(parts, steps, False, silent)
    return alone


def _cost(candidate: "Candidate") -> float:
    """FLOPs a token of a step with it: three passes of the student, one of its own."""
    teacher = candidate.estimate.teacher
    own = 0.0 if teacher is None else teacher.flops_per_token
    return 3 * candidate.estimate.student.flops_per_token + own


# ------------------------------------------------------------------------------------------------------------- telling


def _told(
    candidates: Sequence["Candidate"],
    refused: dict[str, str],
    alone: tuple[int, float] | None,
    config: dict[str, Any] | None,
    arguments: Arguments,
    console: "Console",
) -> int:
    from distill.reports.choosing import Choice, document, ordered

    by = "pilot" if any(one.pilot for one in candidates) else "bits_per_byte"
    choices = [_choice(one, candidates) for one in candidates]
    if alone is not None:
        told = f"{alone[1]:.3f} nats a token after {alone[0]} steps on the text alone, at the same compute"
        choices.append(Choice(NONE, {"pilot": alone[1]}, (told,)))
    choices += [Choice(name, refusal=reason) for name, reason in refused.items()]
    choices = ordered(choices, by)
    how = "validation after a pilot at equal compute" if by == "pilot" else "its likelihood on held-out text"
    sentence = f"Ordered by {how}." + ("" if by == "pilot" else " pilot=30 tries each on the student itself.")
    page = document(choices, by, "Choosing a teacher", sentence, shlex.join(arguments.command))
    _shown(choices, sentence, console)
    for choice in choices:
        for line in filter(None, (choice.vocabulary, *choice.notes)):
            console.print(f"{choice.name}: {line}", soft_wrap=True)
    if config is not None and candidates and not arguments.dry_run:
        _written(page, choices, config, arguments, console)
    return 0 if candidates else 2


def _shown(choices: Sequence["Choice"], sentence: str, console: "Console") -> None:
    """The table on a terminal, a teacher a column; the reasons stand below it, a line each."""
    from rich.table import Table

    from distill.reports.choosing import table

    told = table(choices)
    usable = [row for row, choice in zip(told.rows, choices, strict=True) if not choice.refusal]
    made = Table(title=sentence, title_justify="left")
    made.add_column("", no_wrap=True)
    for row in usable:
        made.add_column(row[1].text, justify="right", overflow="fold")
    for place, heading in enumerate(told.headings[:-1]):
        if place != 1:
            name = " ".join(filter(None, (heading.title, heading.unit, heading.arrow)))
            made.add_row(name, *(f"{row[place].text} *" if row[place].best else row[place].text for row in usable))
    if usable:
        console.print(made)
    for row in told.rows:
        console.print(f"{row[0].text} {row[1].text}: {row[-1].text or 'nothing stands out'}", soft_wrap=True)


def _written(
    page: Any, choices: Sequence["Choice"], config: dict[str, Any], arguments: Arguments, console: Any
) -> None:
    from distill import rows
    from distill.reports.markdown import markdown
    from distill.reports.page import html
    from distill.storage import write_text

    digest = hashlib.sha256(repr(sorted(arguments.overrides)).encode()).hexdigest()[:8]
    folder = Path(config["paths"]["root"]).expanduser() / f"preflight-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "preflight.html", html(page))
    write_text(folder / "preflight.md", markdown(page))
    units = {"bits_per_byte": "bits/byte", "entropy": "nats/token", "pilot": "nats/token", "seconds": "s"}
    units |= {"memory": "bytes", "store": "bytes", "parameters": "count", "passes": "count"}
    told = [
        rows.Row(one.name, f"preflight/{key}", value, units.get(key, "fraction"), "validation", 0, config["seed"])
        for one in choices
        for key, value in one.facts.items()
    ]
    write_text(folder / rows.METRICS, "".join(row.line() + "\n" for row in told))
    console.print(f"\n{folder / 'preflight.html'}")


def _choice(candidate: "Candidate", all_of_them: Sequence["Candidate"]) -> "Choice":
    from distill.reports.choosing import Choice

    cost, found = candidate.estimate, candidate.aptitude
    steps = cost.steps["student"]
    facts: dict[str, float] = {"memory": cost.memory}
    if cost.teacher is not None:
        facts |= {"parameters": cost.teacher.parameters}
    config = candidate.composed.config
    facts["passes"] = steps * config["trainer"].get("accumulate_grad_batches", 1)
    if candidate.store is not None:
        facts["store"] = candidate.store
    if found is not None and found.tokens:
        facts |= {"bits_per_byte": found.bits_per_byte, "entropy": found.entropy.value, "ece": found.calibration_error}
        facts |= {"accuracy": found.accuracy.value}
        facts |= {"agreement": found.agreement.value} if found.agreement.n else {}
        share = 1.0 if cost.teacher is None else _cost(candidate) / max(cost.teacher.flops_per_token, 1.0)
        facts["seconds"] = found.seconds / found.tokens * cost.tokens_per_step * steps * share
    if candidate.pilot is not None:
        facts["pilot"] = candidate.pilot[1]
    reasons = tuple(_reasons(candidate, all_of_them))
    return Choice(candidate.name, facts, reasons, candidate.meeting.plan, (*candidate.meeting.notes, *candidate.notes))


def _reasons(candidate: "Candidate", all_of_them: Sequence["Candidate"]) -> list[str]:
    """What stands out of it beside the others."""
    found, told = candidate.aptitude, []
    if candidate.pilot is not None:
        told.append(f"{candidate.pilot[1]:.3f} nats a token after {candidate.pilot[0]} steps")
    others = [one.aptitude.bits_per_byte for one in all_of_them if one.aptitude is not None and one is not candidate]
    if found is not None and others and found.tokens:
        best = min(others)
        gap = found.bits_per_byte - best
        told.append(
            f"{abs(gap):.2f} bits a byte {'behind the best' if gap > 0 else 'ahead of the next'} on held-out text"
        )
    if found is not None and found.calibration_error > 0.05:
        told.append("too sure of itself" if found.certainty > 0 else "less sure than it could be")
    if len(all_of_them) > 1:
        costs = [_cost(one) for one in all_of_them]
        dear = _cost(candidate) / min(costs)
        told.append("the cheapest" if math.isclose(dear, 1.0) else f"{dear:.1f} × the cheapest's compute a step")
    return told
