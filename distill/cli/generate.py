"""Let a teacher write a data set: prompts in, filtered rows with their provenance out.

Stopped or killed, the same command goes on and loses at most one batch. Other filters or another pick ask nobody again.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli.arguments import Arguments
from distill.cli.compose import Composed, compose
from distill.cli.settings import Paths
from distill.errors import BadInput
from distill.ranges import Count, Natural

if TYPE_CHECKING:
    from rich.console import Console

    from distill.generation.asking import Asking
    from distill.generation.candidate import Prompt
    from distill.generation.filters.filter import Filter
    from distill.generation.parts import Parts
    from distill.generation.picks.pick import Pick
    from distill.generation.prompts.source import Source
    from distill.teachers.author import Ask, Author
    from distill.teachers.teacher import Teacher


@dataclass(frozen=True)
class Settings:
    """The keys of ``conf/generate.yaml``. Read as text, never made: the config is bound to these annotations."""

    name: str
    seed: Natural
    limit: Count | None
    batch_size: Count
    explained: bool
    into: str | None
    paths: Paths
    teacher: "Teacher"
    prompts: "Source"
    ask: "Asking"
    decoding: "Ask"
    pick: "Pick"
    filters: dict[str, "Filter"]


def run(arguments: Arguments) -> int:
    """``distill generate``."""
    if arguments.multirun:
        raise BadInput("command line", "generate makes one data set", value="-m", remedy="call it once for each")
    composed = compose(arguments.without_words())
    from rich.console import Console

    from distill.cli.build import instantiate
    from distill.cli.quiet import quieten

    quieten()
    console = Console(highlight=False, markup=False)
    plugins, config = arguments.plugins, composed.config
    source, asking, ask = (instantiate(config[part], plugins=plugins) for part in ("prompts", "ask", "decoding"))
    prompts = _prompts(source, asking, config["limit"], console)
    author = _author(instantiate(config["teacher"], plugins=plugins))
    filters = {name: instantiate(node, plugins=plugins) for name, node in config["filters"].items()}
    pick = instantiate(config["pick"], plugins=plugins)
    _refuse_silent(author, filters, pick)
    told = _provenance(author, asking, ask, config["seed"])
    folder = _folder(composed, told)
    if arguments.dry_run:
        console.print(f"{len(prompts):,} prompts, {ask.candidates} candidates each, into {folder}", soft_wrap=True)
        return 0
    parts = _written(author, prompts, asking, ask, folder, config, console)
    _finished(composed, folder, parts, prompts, asking, filters, pick, told, console)
    return 0


def _prompts(source: "Source", asking: "Asking", limit: int | None, console: "Console") -> list["Prompt"]:
    """Different ones, at most ``limit``; what is no prompt is counted."""
    from distill.data.corpus import DUPLICATE, Tally

    tally, found = Tally(), {}
    for prompt in source.prompts(asking, tally):
        if prompt.key in found:
            tally.drop(DUPLICATE)
            continue
        found[prompt.key] = prompt
        if limit is not None and len(found) == limit:
            break
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(tally.dropped.items()))
    console.print(f"{len(found):,} prompts of {tally.rows:,} rows read" + (f" (dropped: {reasons})" if reasons else ""))
    if not found:
        raise BadInput("prompts", f"no prompt in {tally.rows:,} rows", remedy="check prompts.path and prompts.field")
    return list(found.values())


def _author(teacher: "Teacher") -> "Author":
    author = teacher.author()
    if author is None:
        reason = "this teacher writes nothing"
        raise BadInput("teacher", reason, remedy="use teacher=live, teacher=smollm2, teacher=server or teacher=text")
    return author


def _refuse_silent(author: "Author", filters: "dict[str, Filter]", pick: "Pick") -> None:
    """Before anything is asked: who wants to know how likely a text is, of an author that does not tell."""
    asks = [f"filters.{name}" for name, each in filters.items() if each.reads_nats]
    asks += ["pick"] if pick.reads_nats else []
    if asks and not author.tells:
        reason = f"{author.name} does not tell how likely its texts are"
        raise BadInput(asks[0], reason, remedy="use teacher=server or teacher=live, or leave it out")


def _provenance(author: "Author", asking: "Asking", ask: "Ask", seed: int) -> dict[str, Any]:
    told = {"teacher": author.name, "fingerprint": author.fingerprint, "asked": asking.told()}
    return {**told, **({"decoding": asdict(ask), "seed": seed} if author.obeys else {"decoding": None, "seed": None})}


def _folder(composed: Composed, provenance: dict[str, Any]) -> Path:
    """Named by what decides the texts; ``into`` is taken as it is."""
    config = composed.config
    if config["into"] is not None:
        return Path(config["into"]).expanduser()
    source = json.dumps([config["prompts"], provenance], sort_keys=True)
    return Path(config["paths"]["root"]) / f"{config['name']}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


def _written(
    author: "Author",
    prompts: list["Prompt"],
    asking: "Asking",
    ask: "Ask",
    folder: Path,
    config: dict[str, Any],
    console: "Console",
) -> "Parts":
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from distill.generation.parts import Parts
    from distill.generation.writing import write

    parts = Parts(folder / "written" / _digest(_provenance(author, asking, ask, config["seed"])))
    before = len(parts.done() & {prompt.key for prompt in prompts})
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[pace]}"), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(f"{author.name} writes", total=len(prompts), completed=before, pace="")
        ended = write(
            author,
            prompts,
            asking,
            ask,
            parts,
            config["batch_size"],
            config["seed"],
            lambda now: bar.update(task, completed=before + now.prompts, pace=f"{now.pace:,.0f} tokens/s"),
        )
    kept = f"{before:,} prompts were answered before; " if before else ""
    console.print(f"{kept}{ended.prompts:,} answered now, {ended.tokens:,} tokens, {ended.pace:,.0f} tokens/s")
    return parts


def _finished(
    composed: Composed,
    folder: Path,
    parts: "Parts",
    prompts: list["Prompt"],
    asking: "Asking",
    filters: "dict[str, Filter]",
    pick: "Pick",
    provenance: dict[str, Any],
    console: "Console",
) -> None:
    from distill.generation.finishing import finish, keep

    read = (replace(one, answer=asking.read(one.text, one.reference)) for one in parts.candidates())
    finished = finish([prompt.key for prompt in prompts], read, filters, pick)
    for line in finished.lines():
        console.print(line, soft_wrap=True)
    path = keep(folder, finished, provenance, composed.config["explained"])
    console.print(str(path), soft_wrap=True)


def _digest(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
