"""The arms of an experiment: ``experiment=NAME arm=ARM`` stands for the overrides that ``claim.toml`` gives that arm.

``distill train experiment=NAME -m seed=0,1,2`` runs them all. They come before the rest of the command line, so that
what a person types wins.
"""

from dataclasses import replace

from distill.cli.arguments import Arguments
from distill.cli.sources import ROOT
from distill.errors import BadInput
from distill.evidence import claim as claims
from distill.evidence.claim import Claim

KEY = "arm"
FOLDER = ROOT / "experiments"


def claim_of(arguments: Arguments) -> Claim | None:
    """The claim of the one experiment that a command line names; None where it names none, several, or one without.

    Raises:
        BadInput: its file cannot be read.
    """
    named = [override.partition("=")[2] for override in arguments.overrides if override.startswith("experiments=")]
    name = named[-1].partition("/")[0] if named else ""
    if not name or not all(letter.isalnum() or letter in "._-" for letter in name) or name.startswith("."):
        return None
    return claims.read(FOLDER / name) if "," not in named[-1] else None


def with_arm(arguments: Arguments) -> Arguments:
    """The command line with ``arm=NAME`` replaced by what it stands for.

    Raises:
        BadInput: there is no such arm, or no experiment that has arms.
    """
    named = [override for override in arguments.overrides if override.startswith(f"{KEY}=")]
    if not named:
        return arguments
    claim = claim_of(arguments)
    arms = claim.arms if claim else {}
    name = named[-1].partition("=")[2].strip("'\"")
    if name not in arms:
        known = f"expected one of {', '.join(arms)}" if arms else "the experiment has no arms"
        raise BadInput("command line arm", known, value=name, remedy="" if arms else "leave it out")
    rest = [override for override in arguments.overrides if override not in named]
    place = next(i for i, override in enumerate(rest) if override.startswith("experiments=")) + 1
    return replace(arguments, overrides=(*rest[:place], *arms[name], *rest[place:]))


def with_all_arms(arguments: Arguments) -> Arguments:
    """A sweep's command line, every arm of its experiment swept over unless some were named."""
    claim = claim_of(arguments)
    if claim is None or not claim.arms or any(override.startswith(f"{KEY}=") for override in arguments.overrides):
        return arguments
    place = next(i for i, override in enumerate(arguments.overrides) if override.startswith("experiments=")) + 1
    told = f"{KEY}={','.join(claim.arms)}"
    return replace(arguments, overrides=(*arguments.overrides[:place], told, *arguments.overrides[place:]))


def as_stated(arguments: Arguments) -> bool:
    """Whether a command line changes nothing of an experiment but seeds, places, and who watches or executes it."""
    free = ("experiments", KEY, "seed", "launcher", "sweeper", "logger", "wandb", "paths", "name", "threads")
    keys = [override.partition("=")[0].lstrip("+~") for override in arguments.overrides]
    return all(key.partition(".")[0].partition("@")[0] in free for key in keys)
