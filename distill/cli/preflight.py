"""Compare teachers before a training: distill preflight teacher=a,b,c student=… data=… [pilot=30]

First, from tokenizers and configs alone: which of them this student can learn from, and how their tokens meet. Then
each reads held-out text: likelihood, entropy, calibration, how often it is right and agrees with the student as it
begins, and what a run with it would take. With pilot=N the student is trained for a moment with each, and without a
teacher, at equal compute. One table and one page, in the order advised, with reasons. Any other key may be swept
instead of the teacher.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from distill.cli import train
from distill.cli.advice import NONE, cost, tell
from distill.cli.arguments import Arguments
from distill.cli.compose import Composed, compose
from distill.errors import BadInput, BadInputs
from distill.ranges import Natural

if TYPE_CHECKING:
    from rich.console import Console

    from distill.cli.candidates import Candidate

LEAST, MOST = 32, 256


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
    return tell(candidates, refused, alone, config, arguments, console)


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
    dearest = max((cost(one) for one in candidates), default=1.0)
    alone = None
    for one in list(candidates):
        try:
            parts = ask(one, config["samples"], console)
            if config["pilot"]:
                steps = round(config["pilot"] * dearest / cost(one))
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
