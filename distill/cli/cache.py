"""Fill a stored teacher's word ahead, check it, list it, clear it: distill cache [verify|info|prune] …

Without a word it asks the teacher about all that a run of this config would, and what is there already is not asked
again; a fill that was stopped goes on. The whole of it is told before the first byte is written.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from distill.cli import train
from distill.cli.arguments import Arguments
from distill.cli.compose import Composed, compose
from distill.cli.estimate import amount
from distill.errors import BadInput
from distill.ranges import NonNegative, Share

if TYPE_CHECKING:
    from rich.console import Console

    from distill.cli.parts import Parts
    from distill.signals.shelf import Shelved
    from distill.teachers.stored import Stored
    from distill.types import Batch


@dataclass(frozen=True)
class Settings(train.Settings):
    """The keys of ``conf/cache.yaml``: a run's, and what is done with its store."""

    cover: Literal["run", "train"] = "run"
    verify_share: Share = 0.01
    unused_days: NonNegative | None = None
    keep_gib: NonNegative | None = None


def run(arguments: Arguments) -> int:
    """``distill cache``, ``verify``, ``info`` or ``prune``."""
    acts: dict[str, Callable[[Composed], int]] = {"": _fill, "verify": _verify, "info": _info, "prune": _prune}
    word = " ".join(arguments.words)
    if word not in acts or arguments.multirun:
        reason = "cache takes one of verify, info, prune, or nothing, without -m"
        raise BadInput("command line", reason, value=word or "-m")
    return acts[word](compose(arguments))


# -------------------------------------------------------------------------------------------------------- filling


def _fill(composed: Composed) -> int:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console, parts, teacher = _gathered(composed)
    batches = _covered(parts, composed.config)
    tokens, missing, rows = _counted(teacher, batches)
    needed = teacher.needed(missing, rows)
    place = teacher.store.folder
    console.print(f"{tokens:,} tokens, {missing:,} of them not stored yet: {amount(needed)} in {place}", soft_wrap=True)
    teacher.refuse_full(needed)
    if missing:
        console.print(_plan(teacher, batches), soft_wrap=True)
    if not missing or composed.arguments.dry_run:
        return 0
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn())
    with console.status("loading the teacher"):
        teacher.exact.ready()
    begun, done = time.perf_counter(), 0
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("asking the teacher", total=missing, speed="")
        for new in teacher.fill(batches):
            if new and not done:
                _foretell(bar.console, missing, new, time.perf_counter() - begun)
            done += new
            bar.update(task, completed=done, speed=f"{done / (time.perf_counter() - begun):,.0f} tokens/s")
    console.print(f"{done:,} tokens asked in {teacher.passes:,} passes of the teacher; {_facts(teacher)}")
    return 0


def _gathered(composed: Composed) -> tuple["Console", "Parts", "Stored"]:
    from rich.console import Console

    from distill.cli.parts import gather
    from distill.cli.quiet import quieten
    from distill.teachers.stored import Stored

    quieten()
    console = Console(highlight=False, markup=False)
    parts = gather(composed.config, composed.arguments.plugins, console)
    if not isinstance(parts.teacher, Stored):  # what was chosen on the command line, not a branch on our own parts
        reason = "is asked anew by every run"
        raise BadInput(
            "teacher", reason, remedy="leave teacher=stored, and choose its source: teacher@teacher.source=…"
        )
    return console, parts, parts.teacher


def _covered(parts: "Parts", config: Mapping[str, Any]) -> Sequence["Batch"]:
    """The batches that a run asks about: the training text once, or less if the run ends before."""
    trainer = config["trainer"]
    steps = trainer["max_steps"] * trainer.get("accumulate_grad_batches", 1)
    whole = parts.data.train_batches()
    return _Stream(parts, steps) if config["cover"] == "run" and 0 <= steps < len(whole) else whole


class _Stream(Sequence["Batch"]):
    """The first micro-batches of a run."""

    def __init__(self, parts: "Parts", steps: int) -> None:
        self.parts, self.steps = parts, steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: Any) -> Any:
        if step >= self.steps:
            raise IndexError(step)
        return self.parts.data.batch(step)


def _counted(teacher: "Stored", batches: Iterable["Batch"]) -> tuple[int, int, int]:
    """Tokens, those of them that are not stored, and their rows."""
    from distill.teachers.samples import samples

    teacher.store.refresh()
    asked = {one.span.name: one.tokens for batch in batches for one in samples(batch)}
    missing = [tokens for name, tokens in asked.items() if name not in teacher.store]
    return sum(asked.values()), sum(missing), len(missing)


def _plan(teacher: "Stored", batches: Sequence["Batch"]) -> str:
    """Passes and seconds, by calculation: no weight is loaded for it."""
    from distill.cli.pace import foretold
    from distill.teachers.samples import samples

    passes = shown = 0
    for batch in batches:
        if any(one.span.name not in teacher.store for one in samples(batch)):
            passes += 1
            shown += max(
                (one.numel() for one in batch.teacher_inputs.values() if not one.is_floating_point()), default=0
            )
    told = f"{passes:,} passes of the teacher at most"
    if teacher.shape is None or not shown:
        return told
    return f"{told}, {foretold(shown * teacher.shape.flops_per_token, teacher.shape.width)}"


def _foretell(console: "Console", missing: int, tokens: int, seconds: float) -> None:
    console.print(f"about {missing / tokens * seconds:,.0f} s at the pace of the first batch, which was measured")


def _facts(teacher: "Stored") -> str:
    return f"{len(teacher.store):,} rows, {teacher.store.damaged} damaged shards removed"


# ------------------------------------------------------------------------------------------------------- checking


def _verify(composed: Composed) -> int:
    """Checksums of everything, then the teacher itself about a few batches."""
    console, parts, teacher = _gathered(composed)
    teacher.store.refresh()
    faults = teacher.store.find_faults()
    for name, fault in faults.items():
        console.print(f"{name}: {fault}; removed, and asked again when it is next needed", soft_wrap=True)
    batches = [batch for batch in _covered(parts, composed.config) if _counted(teacher, [batch])[1] == 0]
    if not batches:
        console.print(f"{_facts(teacher)}; no batch of this config is stored whole, so none is asked again")
        return 1 if faults else 0
    from distill.teachers.verification import allowed, gaps

    chosen = random.sample(batches, max(1, round(composed.config["verify_share"] * len(batches))))
    worst = max(float(gaps(teacher, batch).max()) for batch in chosen)
    tokens, bound = sum(batch.tokens for batch in chosen), allowed(teacher)
    told = f"{tokens:,} tokens asked again: error at most {worst:.2g}, allowed {bound:.2g}; {_facts(teacher)}"
    console.print(told)
    if worst > bound:
        remedy = f"remove {teacher.store.folder}; the next run asks again"
        raise BadInput(str(teacher.store.folder), "says something else than its teacher", value=worst, remedy=remedy)
    return 1 if faults else 0


# ---------------------------------------------------------------------------------------------------- looking after


def _info(composed: Composed) -> int:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = _shelf(composed)
    table = Table(title=f"{len(found)} stores, {amount(sum(s.bytes for s in found))}", title_justify="left")
    for head in ("store", "teacher", "signal", "size", "unused for", "in use"):
        table.add_column(head, overflow="fold")
    for store in found:
        days = (time.time() - store.used) / 86400
        used = ("yes" if store.in_use() else "no", f"{days:.1f} days")
        cells = (store.folder.name[:8], store.source, _signal(store), amount(store.bytes), used[1], used[0])
        table.add_row(*map(Text, cells))
    Console().print(table)
    return 0


def _prune(composed: Composed) -> int:
    """Remove what has not been opened for long, then the longest unused while there is too much; never what is open."""
    days, gib = composed.config["unused_days"], composed.config["keep_gib"]
    if days is None and gib is None:
        raise BadInput("unused_days, keep_gib", "neither is set", remedy="write unused_days=30 or keep_gib=100")
    from distill.signals.shelf import stale

    found = _shelf(composed)
    old = stale(found, days, None if gib is None else gib * 2**30)
    if composed.arguments.dry_run:
        print(f"{len(old)} of {len(found)} stores would go ({amount(sum(s.bytes for s in old))})")
        return 0
    gone = [store for store in old if store.remove()]
    freed, busy = amount(sum(s.bytes for s in gone)), len(old) - len(gone)
    print(f"{len(gone)} of {len(found)} stores removed, {freed} freed; {busy} more stay because they are in use")
    return 0


def _shelf(composed: Composed) -> "list[Shelved]":
    from distill.signals.shelf import shelf

    return shelf(Path(composed.config["paths"]["cache"]).expanduser() / "signals")


def _signal(store: "Shelved") -> str:
    signal = store.told.get("signal")
    return " ".join(str(value) for value in signal.values()) if isinstance(signal, dict) else "damaged"
