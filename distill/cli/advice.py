"""What is said of candidates: numbers, reasons, the order, a table on the terminal, a page and rows in a folder."""

import hashlib
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli.arguments import Arguments
from distill.secrets import redacted_command

if TYPE_CHECKING:
    from rich.console import Console

    from distill.cli.candidates import Candidate
    from distill.reports.choosing import Choice
    from distill.reports.document import Document

NONE = "no teacher"


def cost(candidate: "Candidate") -> float:
    """FLOPs a token of a step with it: three passes of the student, one of its own."""
    teacher = candidate.estimate.teacher
    own = 0.0 if teacher is None else teacher.flops_per_token
    return 3 * candidate.estimate.student.flops_per_token + own


def tell(
    candidates: Sequence["Candidate"],
    refused: dict[str, str],
    alone: tuple[int, float] | None,
    config: dict[str, Any] | None,
    arguments: Arguments,
    console: "Console",
) -> int:
    """Say it; the exit code: 2 if none of them can be used.

    Args:
        candidates: that can be used.
        refused: why the others cannot, by name.
        alone: (steps, validation nats per token) of the student without a teacher, if it was tried.
        config: of one of them; None if none composes.
    """
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
    page = document(choices, by, "Choosing a teacher", sentence, shlex.join(redacted_command(arguments.command)))
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
    page: "Document", choices: Sequence["Choice"], config: dict[str, Any], arguments: Arguments, console: "Console"
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

    size, found = candidate.estimate, candidate.aptitude
    steps = size.steps["student"]
    facts: dict[str, float] = {"memory": size.memory}
    if size.teacher is not None:
        facts |= {"parameters": size.teacher.parameters}
    config = candidate.composed.config
    facts["passes"] = steps * config["trainer"].get("accumulate_grad_batches", 1)
    if candidate.store is not None:
        facts["store"] = candidate.store
    if found is not None and found.tokens:
        facts |= {"bits_per_byte": found.bits_per_byte, "entropy": found.entropy.value, "ece": found.calibration_error}
        facts |= {"accuracy": found.accuracy.value}
        facts |= {"agreement": found.agreement.value} if found.agreement.n else {}
        share = 1.0 if size.teacher is None else cost(candidate) / max(size.teacher.flops_per_token, 1.0)
        facts["seconds"] = found.seconds / found.tokens * size.tokens_per_step * steps * share
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
        costs = [cost(one) for one in all_of_them]
        dear = cost(candidate) / min(costs)
        told.append("the cheapest" if math.isclose(dear, 1.0) else f"{dear:.1f} × the cheapest's compute a step")
    return told
