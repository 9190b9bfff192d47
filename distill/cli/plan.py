"""From a command line with several values to the runs of a sweep, each composed and checked; nothing is created.

A run is executed by ``python -m distill train`` in a process of its own, so its command line knows of no sweep; one
on several devices is started by torchrun, because Lightning's own launcher, started from within a sweep, trains
different configs on different ranks without a word.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from distill.cli.arguments import Arguments
from distill.cli.arms import with_all_arms
from distill.cli.compose import Composed, compose
from distill.cli.controls import PLACE as CONTROLS
from distill.cli.devices import device_count
from distill.cli.identity import identity
from distill.cli.parts import TAGS
from distill.cli.sharing import group, told
from distill.cli.sources import Sources
from distill.errors import BadInput, BadInputs
from distill.secrets import redacted_command
from distill.sweeps.expansion import Combination, Expansion, expand
from distill.sweeps.folder import SweepFolder
from distill.sweeps.goal import Goal
from distill.sweeps.job import Job
from distill.sweeps.names import run_name, sweep_name

PLACE = "command line"
OWN = frozenset({"paths", "launcher", "sweeper", "name", "debug"})
"""Keys of the sweep itself: one value for all runs."""
GROUP = "WANDB_RUN_GROUP"
"""Set for every run: W&B's group is the sweep's name."""

Command = Callable[[Composed, Arguments, list[str]], list[str]]


@dataclass(frozen=True)
class Plan:
    """A sweep that may begin.

    Attributes:
        folder: where.
        jobs: its runs, in the order of the command line.
        swept: swept keys and values.
        first: the config of the first run; what it says about the sweep itself, all say.
        repeated: combinations that are a run already listed (``1`` and ``1.0``).
        unfit: values of a pattern that fit no run, and why.
        sharing: which runs share a process and a teacher, a line a group, where the launcher lets them.
    """

    folder: SweepFolder
    jobs: list[Job]
    swept: dict[str, list[str]]
    first: Composed
    repeated: int
    unfit: dict[str, str] = field(default_factory=dict)
    sharing: list[str] = field(default_factory=list)


def planned(arguments: Arguments) -> Plan:
    """Everything about a sweep, checked.

    Raises:
        BadInputs: one line for each thing that is wrong with any run.
    """
    refuse_secrets(arguments)
    arguments = with_all_arms(arguments)
    expansion = expand(arguments.overrides, Sources.of(arguments.config_dir, arguments.plugins).options)
    runs = _composed(arguments, expansion)
    first = next(iter(runs.fit.values()))[0]
    folder = SweepFolder(
        Path(first.config["paths"]["sweeps"]).expanduser() / sweep_name(first.config["name"], runs.fit)
    )
    known = _known_names(folder)
    smaller = keeps_identity(arguments, first)
    jobs = []
    for digest, (composed, combination) in runs.fit.items():
        name = known.get(digest) or run_name(combination.swept, digest)
        jobs.append(job_of(composed, combination, arguments, folder, name, smaller))
    repeated = len(expansion.combinations) - len(jobs) - len(runs.refused)
    unfit = {
        " ".join(f"{key}={combination.swept[key]}" for key in sorted(expansion.patterns)): str(several.faults[0])
        for combination, several in runs.refused
    }
    return Plan(folder, jobs, dict(expansion.swept), first, repeated, unfit, _sharing(runs))


def _sharing(runs: "_Runs") -> list[str]:
    configs = [composed.config for composed, _ in runs.fit.values()]
    together = configs[0]["launcher"].get("together", 1)
    return list(told(configs, together)) if together > 1 else []


def run_command(composed: Composed, arguments: Arguments, extra: list[str]) -> list[str]:
    """The command line of one run: Python, or torchrun when the run wants several devices of this machine.

    Args:
        composed: the run's config.
        arguments: whose flags it keeps.
        extra: overrides after its own.
    """
    flags = [f"--plugin={plugin}" for plugin in arguments.plugins]
    flags += [f"--config-dir={arguments.config_dir}"] if arguments.config_dir else []
    flags += ["--debug"] if arguments.debug else []
    devices = device_count(composed)
    ranks = ["torch.distributed.run", "--standalone", f"--nproc-per-node={devices}", "-m"] if devices > 1 else []
    return [sys.executable, "-m", *ranks, "distill", composed.verb, *flags, *composed.overrides, *extra]


@dataclass
class _Runs:
    """The distinct runs by identity; what is wrong; and combinations of a pattern's values that do not fit."""

    fit: dict[str, tuple[Composed, Combination]] = field(default_factory=dict)
    faults: list[BadInput] = field(default_factory=list)
    refused: list[tuple[Combination, BadInputs]] = field(default_factory=list)


def _composed(arguments: Arguments, expansion: Expansion) -> _Runs:
    """Every combination, composed and checked.

    What was named must fit. A pattern (``glob(*)``) names whatever is there, so it stands for what fits: the rest is
    left out and told, unless nothing is left.
    """
    runs = _Runs()
    for combination in expansion.combinations:
        try:
            one = compose(replace(arguments, overrides=combination.overrides, multirun=False))
        except BadInputs as several:
            runs.refused.append((combination, several))
            continue
        runs.faults += misfits(one, combination)
        runs.fit.setdefault(identity(one), (one, combination))
    if not (runs.fit and expansion.patterns):
        runs.faults += [fault for _, several in runs.refused for fault in several.faults]
    if runs.faults:
        raise BadInputs(list({str(fault): fault for fault in runs.faults}.values()))
    return runs


def misfits(composed: Composed, combination: Combination) -> list[BadInput]:
    """What a single run may say and a run of a sweep may not."""
    faults = []
    if composed.config["paths"]["run"] is not None:
        remedy = "leave it out; paths.sweeps says where sweeps go"
        faults.append(BadInput(f"{PLACE} paths.run", "every run of a sweep has its own folder", remedy=remedy))
    faults += [
        BadInput(f"{PLACE} {key}", "belongs to the whole sweep and cannot be swept", remedy="give it one value")
        for key in combination.swept
        if key.split(".")[0] in OWN
    ]
    try:
        device_count(composed)
    except BadInput as fault:
        faults.append(fault)
    return faults


def job_of(
    composed: Composed, combination: Combination, arguments: Arguments, folder: SweepFolder, name: str, smaller: bool
) -> Job:
    place = f"paths.run={QuotedString(str(folder.run(name).absolute()), Quote.single).with_quotes()}"
    less = _halved(composed) if smaller else []
    return Job(
        name=name,
        command=run_command(composed, arguments, [place]),
        swept=dict(combination.swept),
        overrides=list(composed.overrides),
        smaller=[run_command(composed, arguments, [*keys, place]) for keys in less],
        environment={
            GROUP: folder.name,
            TAGS: json.dumps([f"{key}={value}" for key, value in combination.swept.items()]),
            CONTROLS: str((folder.path / "controls").absolute()),
        },
        directory=os.getcwd(),
        goal=_goal(composed.config),
        group=group(composed.config),
        together=[sys.executable, "-m", "distill", "lockstep", str(folder.path.absolute())],
    )


def _goal(config: Mapping[str, Any]) -> Goal | None:
    """The number that a run is made for; None where it would be a test's, and the run measures nothing."""
    sweeper, measure = config["sweeper"], config["measure"]
    silent = not (measure.get("token_measures") or measure.get("model_measures"))
    if sweeper["metric"] is None or (silent and sweeper["split"] == "test"):
        return None
    return Goal(**{key: sweeper[key] for key in ("metric", "subject", "split", "better")})


def _halved(composed: Composed) -> list[list[str]]:
    """The same global batch in smaller pieces: a half, then a quarter of the micro-batch, as far as it divides."""
    size, pieces = composed.config["data"].get("batch_size"), composed.config["trainer"].get("accumulate_grad_batches")
    if not isinstance(size, int) or not isinstance(pieces, int):
        return []
    divisors = [by for by in (2, 4) if size % by == 0]
    return [[f"data.batch_size={size // by}", f"trainer.accumulate_grad_batches={pieces * by}"] for by in divisors]


def keeps_identity(arguments: Arguments, first: Composed) -> bool:
    """Whether a run with a halved micro-batch is still the same run; else its own folder would refuse it."""
    for halved in _halved(first)[:1]:
        other = compose(replace(arguments, overrides=(*first.overrides, *halved), multirun=False))
        return identity(other) == identity(first)
    return False


def _known_names(folder: SweepFolder) -> dict[str, str]:
    """The names of the runs that are already there, by identity: one and the same run keeps its name."""
    return {name.rpartition("-")[2]: name for name in folder.plan()["runs"]} if folder.exists() else {}


def refuse_secrets(arguments: Arguments) -> None:
    if redacted_command(arguments.command) != list(arguments.command):
        remedy = "put it into the environment (WANDB_API_KEY, HF_TOKEN)"
        raise BadInput(PLACE, "a secret here would be written into the sweep folder", remedy=remedy)
