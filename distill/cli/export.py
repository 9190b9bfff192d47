"""Write a student as files that others run, re-check the files, and describe them: distill export RUN export=FORMAT.

RUN is a run folder (subject=control takes its control), a model's folder or a hub id. The folder appears whole or not
at all: a file that is further from its student than export.bound allows ends with its number and exit code 3. Its rows
join the run's where text and teacher are the run's; they lie in the export's own metrics.jsonl in any case.
"""

import hashlib
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill import rows
from distill.cli.arguments import Arguments
from distill.cli.compose import compose
from distill.cli.run_folder import HASHES, PROVENANCE
from distill.cli.settings import Paths
from distill.cli.target import Target, find_target, gather_parts, load_subject
from distill.errors import BadInput
from distill.names import check, hashed, slug
from distill.ranges import Natural
from distill.secrets import redacted_command
from distill.storage import read_json, write_folder

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from rich.console import Console

    from distill.cli.parts import Parts
    from distill.evaluation.subject import Subject
    from distill.export.export import Export
    from distill.export.recheck import Checked, Recheck
    from distill.rows import Row
    from distill.teachers.teacher import Teacher

CARD, FACTS, BESIDE = "README.md", "export.json", "beside.jsonl"
"""The card, what the folder is, and the rows of student and teacher that were measured in the same minutes."""


@dataclass(frozen=True)
class Settings:
    """The keys of ``conf/export.yaml``. Read as text, never made: the config is bound to these annotations."""

    subject: str
    name: str
    wheel: str | None
    licence: str | None
    seed: Natural
    into: str | None
    paths: Paths
    data: "pl.LightningDataModule"
    teacher: "Teacher"
    export: "Export"
    recheck: "Recheck"


@dataclass(frozen=True)
class Job:
    """What is exported where, under which name.

    Attributes:
        target: the run or the model.
        subject: whose model of the target.
        export: the format.
        name: of the export, in the rows and as a folder.
        place: the folder.
    """

    target: Target
    subject: str
    export: "Export"
    name: str
    place: Path


def run(arguments: Arguments) -> int:
    """``distill export RUN``."""
    if len(arguments.words) != 1 or arguments.multirun:
        told = " ".join(arguments.words) or "nothing"
        raise BadInput("command line", "export takes one run folder, model folder or hub id, without -m", value=told)
    job = _job(arguments)
    if arguments.dry_run:
        print(f"{job.subject}: {job.export.label} into {job.place}")
        return 0
    from rich.console import Console

    from distill.cli.quiet import quieten

    quieten()
    console = Console(highlight=False, markup=False)
    parts = gather_parts(job.target, arguments.plugins, console)
    student = load_subject(job.subject, job.target, parts)
    job.export.check(student)
    checked = _written(job, parts, student, arguments, console)
    _tell(job, checked, console)
    _join(job, parts, checked, console)
    return 0


def _job(arguments: Arguments) -> Job:
    from distill.cli.build import instantiate

    target = find_target(arguments, compose(arguments))
    config = target.config
    _refuse_licence(config["licence"])
    subject = config["subject"] if target.run else config["name"]
    if subject not in target.models:
        known = ", ".join(target.models)
        raise BadInput("subject", "the run has no such model", value=subject, remedy=f"it has {known}")
    export = instantiate(config["export"], plugins=arguments.plugins)
    name = check(f"{slug(subject)}-{export.label}")
    place = _place(target, name)
    if place.exists() and not (place / FACTS).is_file():
        raise BadInput(str(place), "holds something that is no export", remedy="choose another folder with into=")
    return Job(target, subject, export, name, place)


def _place(target: Target, name: str) -> Path:
    if target.config["into"] is not None:
        return Path(target.config["into"]).expanduser()
    if target.run is not None:
        return target.run[0] / "exports" / name
    here = Path(target.word).expanduser()
    digest = hashlib.sha256(str(here.absolute() if here.exists() else target.word).encode()).hexdigest()[:8]
    return Path(target.config["paths"]["root"]).expanduser() / hashed(f"export-{slug(target.word)}-{name}", digest)


def _written(job: Job, parts: "Parts", student: "Subject", arguments: Arguments, console: "Console") -> "Checked":
    """Write, re-check and describe, in a draft that takes its place when all of it is done."""
    from distill.cli.build import instantiate
    from distill.export.export import write_facts
    from distill.export.model_card import card

    recheck: Recheck = instantiate(job.target.config["recheck"], plugins=arguments.plugins)
    found: list[Checked] = []

    def fill(draft: Path) -> None:
        with console.status(f"writing {job.name}"):
            file = job.export.write(student, draft)
            write_facts(job.export, job.name, file, student, draft)
        teacher = parts.teacher.exact if "logits" in parts.teacher.exact.provides else None
        with console.status(f"re-checking {file}"):
            batches = parts.data.test_batches()
            beside = next((one for one in parts.subjects() if not one.taught), None)
            found.append(recheck.check(job.export, draft, job.name, student, batches, teacher, parts.seed, beside))
        rows.append(draft / rows.METRICS, found[0].file)
        rows.append(draft / BESIDE, [*found[0].student, *found[0].teacher])
        (draft / CARD).write_text(card(_facts(job, parts, student, file, found[0], arguments)), encoding="utf-8")

    try:
        write_folder(job.place, fill)
    except BaseException:
        with suppress(OSError):  # not empty: other exports are there
            job.place.parent.rmdir()
        raise
    return found[0]


def _facts(job: Job, parts: "Parts", student: "Subject", file: str, checked: "Checked", arguments: Arguments) -> Any:
    from distill.export.model_card import Facts

    place = job.target.run[0] if job.target.run else None
    provenance = (read_json(place / PROVENANCE) or {}) if place else {}
    provenance = provenance or {HASHES: parts.hashes(), "data": parts.data.facts.plain()}
    made = provenance.get("command")
    return Facts(
        name=job.name,
        student=student.name,
        file=file,
        label=job.export.label,
        how=checked.how,
        usage=job.export.usage(file),
        bound=vars(job.export.bound),
        rows=_rows_of(place, checked, job.name),
        compared=checked.student,
        licence=_licence(job, parts, student),
        teacher=_teacher(job.target),
        command=(shlex.join(made) if made else "", shlex.join(redacted_command(arguments.command))),
        provenance=provenance,
        positions=getattr(student.model.config.get_text_config(decoder=True), "max_position_embeddings", None),
    )


def _rows_of(place: Path | None, checked: "Checked", name: str) -> list["Row"]:
    """What is known of every subject on test text, the last word of each, and the file's own rows."""
    known = rows.read(place / rows.METRICS) if place and (place / rows.METRICS).is_file() else checked.student
    told = {(row.subject, row.metric): row for row in known if row.split in ("test", "none") and row.subject != name}
    return [*told.values(), *checked.file]


def _licence(job: Job, parts: "Parts", student: "Subject") -> tuple[str, str]:
    from distill.export.model_card import licence_of

    given = job.target.config["licence"]
    if given is not None:
        return given, "as told with licence="
    taught = parts.teacher.folder
    return licence_of(Path(taught) if taught else student.folder)


def _refuse_licence(licence: str | None) -> None:
    if licence is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{1,39}", licence):
        raise BadInput("licence", "is no short name of a licence", value=licence, remedy="write one such as apache-2.0")


def _teacher(target: Target) -> str | None:
    """In words, from the config: a folder or an id, or the recipe of one that was trained for the run."""
    node: Mapping[str, Any] = target.config["teacher"]
    if node.get("path") is not None:
        return str(node["path"])
    recipe = node.get("recipe")
    if not recipe:
        return None
    sizes = ", ".join(f"{key} {value}" for key, value in recipe["student"].items() if key != "_target_")
    return f"a model trained for it from scratch ({sizes}; {recipe['steps']} steps)"


def _join(job: Job, parts: "Parts", checked: "Checked", console: "Console") -> None:
    """The rows become the run's, if the re-check read the run's own text and asked its own teacher."""
    if job.target.run is None:
        return
    place, _ = job.target.run
    then, now = (read_json(place / PROVENANCE) or {}).get(HASHES) or {}, parts.hashes()
    if all(now.get(name) == value for name, value in then.items()):
        rows.append(place / rows.METRICS, checked.file)
    else:
        told = "text or teacher are not those that the run was begun with: the rows stay in the export's own folder"
        console.print(f"! {told}", style="yellow", soft_wrap=True)


def _tell(job: Job, checked: "Checked", console: "Console") -> None:
    from distill.export.model_card import UNKNOWN, beside
    from distill.reports.table import fitting

    console.print(fitting(beside(checked.file, checked.student, job.name, job.subject, intervals=False), console))
    limits = ", ".join(f"{name} {value:g}" for name, value in vars(job.export.bound).items())
    console.print(f"run by {checked.how}; within its bound ({limits})", soft_wrap=True)
    card = (job.place / CARD).read_text(encoding="utf-8")
    if f"\nlicense: {UNKNOWN}\n" in card:
        console.print("! licence UNKNOWN: say it with licence=NAME before you pass the file on", style="yellow")
    console.print(str(job.place), soft_wrap=True)
