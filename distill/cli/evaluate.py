"""Measure a run folder again, an exported file, any model folder or hub id, and add the rows: distill evaluate TARGET.

A run's teacher, student and controls are measured on the run's own test text, with its own teacher, unless overrides
say otherwise. The rows join the run's where text and teacher are the run's; otherwise, and for a model's folder or
id, they go to a folder of their own, so that no number of a run is replaced by one that means something else.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from distill import rows
from distill.cli.arguments import Arguments
from distill.cli.compose import Composed, compose
from distill.cli.identity import identity
from distill.cli.provenance import gathered
from distill.cli.run_folder import CONFIG, HASHES, PROVENANCE, STATUS
from distill.cli.settings import Paths
from distill.cli.target import Target, find_exported, gather_parts, load_subject
from distill.errors import BadInput
from distill.names import hashed, slug
from distill.ranges import Natural
from distill.secrets import redacted, redacted_command
from distill.storage import read_json, write_json, write_text

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from rich.console import Console

    from distill.cli.parts import Parts
    from distill.evaluation.evaluation import Evaluated, Evaluation
    from distill.teachers.teacher import Teacher

SAMPLES = "samples.jsonl"


@dataclass(frozen=True)
class Settings:
    """The keys of ``conf/evaluate.yaml``. Read as text, never made: the config is bound to these annotations."""

    name: str
    wheel: str | None
    seed: Natural
    into: str | None
    paths: Paths
    data: "pl.LightningDataModule"
    teacher: "Teacher"
    measure: "Evaluation"


def run(arguments: Arguments) -> int:
    """``distill evaluate TARGET``."""
    if len(arguments.words) != 1 or arguments.multirun:
        told = " ".join(arguments.words) or "nothing"
        reason = "evaluate takes one run folder, exported folder, model folder or hub id, without -m"
        raise BadInput("command line", reason, value=told)
    composed = compose(arguments)
    target = find_exported(arguments, composed)
    own = _own_folder(target, composed)
    if arguments.dry_run:
        print(f"{', '.join(target.models)}: rows into {target.run[0] if target.run else own}")
        return 0
    from rich.console import Console

    from distill.cli.quiet import quieten
    from distill.cli.train import told as report

    quieten()
    console = Console(highlight=False, markup=False)
    parts = gather_parts(target, arguments.plugins, console)
    found = _measured(target, parts, arguments.plugins, console)
    folder = _folder(target, parts, own)
    _write(folder, found)
    if target.run is None or folder != target.run[0]:
        _note(folder, arguments, target.config)
    report(folder)
    return 0


def _own_folder(target: Target, composed: Composed) -> Path:
    """Where the rows go that are no run's, or not its own."""
    place = Path(target.word).expanduser()
    digest = hashlib.sha256(f"{identity(composed)} {place.absolute() if place.exists() else target.word}".encode())
    named = hashed(f"evaluate-{slug(target.word)}", digest.hexdigest()[:8])
    return Path(composed.config["into"] or Path(composed.config["paths"]["root"]) / named).expanduser()


def _measured(target: Target, parts: "Parts", plugins: tuple[str, ...], console: "Console") -> "Evaluated":
    from distill.cli.build import instantiate

    evaluation = instantiate(target.config["measure"], plugins=plugins)
    subjects = [*parts.subjects(), *(load_subject(name, target, parts) for name in target.models)]
    with console.status(f"measuring {', '.join(subject.name for subject in subjects)}"):
        prompts = parts.data.prompts(evaluation.prompts)
        batches, teacher = parts.data.test_batches(), parts.teacher.exact
        return evaluation.evaluate(subjects, batches, prompts, teacher, parts.seed, data=parts.data)


def _folder(target: Target, parts: "Parts", own: Path) -> Path:
    """The run's own folder, if its text and its teacher were used and no other is named."""
    if target.run is None or target.config["into"] is not None:
        return own
    place, _ = target.run
    hashes = (read_json(place / PROVENANCE) or {}).get(HASHES) or {}
    return place if hashes == parts.hashes() else own


def _note(folder: Path, arguments: Arguments, config: Mapping[str, Any]) -> None:
    """Where the numbers come from, beside numbers that are no run's."""
    plain = redacted(dict(config))
    write_text(folder / CONFIG, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    write_json(folder / PROVENANCE, gathered(redacted_command(list(arguments.command)), plain, folder.name[-8:]))
    write_json(folder / STATUS, {"state": "done"})  # a report takes a folder without a student's rows for unfinished


def _write(folder: Path, found: "Evaluated") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows.append(folder / rows.METRICS, found.rows)
    if found.samples:
        lines = [json.dumps(sample, ensure_ascii=False) + "\n" for sample in found.samples]
        write_text(folder / SAMPLES, "".join(lines))
