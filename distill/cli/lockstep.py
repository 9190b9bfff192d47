"""Train runs of one sweep in this process around one teacher: distill lockstep SWEEP_FOLDER RUN RUN …

``launcher=lockstep`` starts it; it is seldom typed. Each run is what it would be by itself: its own folder, objective,
optimiser, metrics, checkpoints, controls, report, and its own words in ``logs/RUN.txt``. Data and teacher are prepared
once; the trainings take turns (``teachers/turns.py``), so that one pass of the teacher serves all of them. One that
fails leaves the others alone; a signal stops them all, each with its checkpoint.
"""

import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from distill.cli import sharing, train
from distill.cli.arguments import Arguments, parse
from distill.cli.compose import Composed, compose
from distill.cli.estimate import Estimate, estimate, refuse_hopeless
from distill.cli.parts import TAGS, Parts, gather
from distill.cli.run_folder import RunFolder
from distill.errors import BadInput, DistillError
from distill.secrets import redacted_text
from distill.sweeps.folder import SweepFolder
from distill.sweeps.job import Job

if TYPE_CHECKING:
    from distill.teachers.together import Seat

USAGE = "write distill lockstep SWEEP_FOLDER RUN RUN …, runs of one group of one sweep"


@dataclass
class Member:
    """One run: its job, its config, and the exit code that it ended with."""

    job: Job
    composed: Composed
    log: Path
    code: int = 1

    def train(self, parts: Parts, seat: "Seat") -> None:
        """All of the run, in its turns. Whatever ends it stays its own."""
        with self.log.open("a", encoding="utf-8", buffering=1) as log:
            try:
                with seat.taken():
                    self._run(replace(parts, teacher=seat), log)
                self.code = 0
            except DistillError as problem:
                self.code = problem.code
                log.write(redacted_text(f"{problem}\n"))
            except Exception:
                log.write(redacted_text(traceback.format_exc()))

    def _run(self, parts: Parts, log) -> None:
        from rich.console import Console

        from distill.cli import subjects
        from distill.reports.report import write

        folder = RunFolder(self.composed, self.composed.arguments.command)
        if not folder.done:
            with folder.running():
                folder.note(differences=train.differences(self.composed, self.composed.arguments))
                console = Console(file=log, highlight=False, markup=False, width=120)
                subjects.carry_out(replace(parts, config=self.composed.config, tags=self._tags()), folder, console)
        write([folder.path])

    def _tags(self) -> tuple[str, ...]:
        import json

        return tuple(json.loads(self.job.environment.get(TAGS, "[]")))


def run(arguments: Arguments) -> int:
    """Train the named runs; 0 if all are done, 128 + n if signal n stopped them, else 1.

    Raises:
        BadInput: they are no runs of a sweep, or cannot share.
        ResourceStop: disk or memory cannot hold them all at once.
    """
    members = _members(arguments)
    _refuse_strangers(members)
    refuse_hopeless(_sum([estimate(one.composed.config, arguments.plugins) for one in members]), str(members[0].log))
    return together(members, members[0].composed.arguments.plugins)


def together(members: Sequence[Member], plugins: tuple[str, ...]) -> int:
    """Train runs that can share, in threads that take turns."""
    from rich.console import Console

    from distill.cli.quiet import quieten
    from distill.teachers.together import Together
    from distill.training.callbacks.interruption import Interruption

    quieten()
    parts = gather(members[0].composed.config, plugins, Console(highlight=False, markup=False))
    shared = Together(parts.teacher, len(members))
    with Interruption().watched() as interruption:
        parts = replace(parts, interruption=interruption)
        threads = [
            threading.Thread(target=one.train, args=(parts, seat), name=one.job.name)
            for one, seat in zip(members, shared.seats, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(f"{len(members)} runs, {parts.teacher.passes:,} passes of the teacher", file=sys.stderr)
    stopped = [one.code for one in members if one.code > 128]
    return max(stopped) if stopped else int(any(one.code for one in members))


def _members(arguments: Arguments) -> list[Member]:
    if len(arguments.words) < 2 or arguments.overrides:
        raise BadInput("command line", "expected a sweep folder and names of its runs", remedy=USAGE)
    folder = SweepFolder(Path(arguments.words[0]).expanduser())
    known = set(folder.plan()["runs"])
    made = []
    for name in arguments.words[1:]:
        if name not in known:
            raise BadInput("command line", f"no run of {folder.path}", value=name, remedy=USAGE)
        job = Job.read(folder.job_file(name))
        folder.log(name).parent.mkdir(parents=True, exist_ok=True)
        own = parse(job.command[job.command.index("distill") + 1 :])
        made.append(Member(job, compose(own), folder.log(name)))
    return made


def _refuse_strangers(members: Sequence[Member]) -> None:
    groups = {sharing.group(one.composed.config) for one in members}
    if len(groups) != 1 or None in groups:
        lines = "; ".join(sharing.told([one.composed.config for one in members], len(members)))
        raise BadInput("command line", f"these runs cannot share a teacher ({lines})", remedy=USAGE)


def _sum(estimates: Sequence[Estimate]) -> Estimate:
    """Of all students at once, and of one teacher."""
    first = estimates[0]
    teacher = 0 if first.teacher is None else 4 * first.teacher.parameters
    return replace(
        first,
        memory=sum(one.memory for one in estimates) - (len(estimates) - 1) * teacher,
        disk=sum(one.disk for one in estimates),
        disk_peak=sum(one.disk_peak for one in estimates),
    )
