"""Look after a sweep folder: distill sweep status FOLDER, retry FOLDER, stop FOLDER.

``status`` tells every run with its state, cause, log and objective metric, and marks the best; it exits with 1 when
some failed. ``retry`` executes the failed ones again. ``stop`` asks whoever works on the sweep, on any machine, to
checkpoint and end; the sweep's own command, or ``retry``, goes on later.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from distill.cli.arguments import Arguments, parse
from distill.errors import BadInput
from distill.sweeps.board import Board, Line
from distill.sweeps.folder import SweepFolder

VERBS = ("status", "retry", "stop")
PATIENCE = 60.0
"""Seconds that ``stop`` waits for the sweep to end."""


def run(arguments: Arguments) -> int:
    """``distill sweep status|retry|stop FOLDER``; overrides of the launcher and the sweeper belong to ``retry``.

    Raises:
        BadInput: no such action, or no sweep folder.
    """
    action, folder = _read(arguments)
    if action == "status":
        return status(folder)
    if action == "stop":
        return stop(folder)
    from distill.cli.train import told

    return retry(folder, arguments, told)


def status(folder: SweepFolder) -> int:
    """Print the runs; 1 when some failed, else 0."""
    from rich.console import Console

    from distill.sweeps.progress import table

    board = look(folder)
    console = Console()
    console.print(table(board))
    console.print(board.summary(), markup=False, highlight=False)
    best = _best(folder, board)
    if best:
        console.print(best, markup=False, highlight=False)
    drivers = len(folder.drivers())
    console.print(f"{drivers} at work on it" if drivers else "nobody is at work on it", markup=False, highlight=False)
    return 1 if board.count("failed") else 0


def stop(folder: SweepFolder) -> int:
    """Ask everybody to end and wait until they have; 1 when some have not after a minute."""
    folder.plan()
    folder.request_stop()
    until = time.monotonic() + PATIENCE
    while busy := _busy(folder):
        if time.monotonic() > until:
            print(f"still at work: {', '.join(busy)}; they end once their checkpoint is written")
            return 1
        time.sleep(0.3)
    print("nobody is at work on it; the same command goes on, or: distill sweep retry FOLDER")
    return 0


def retry(
    folder: SweepFolder, arguments: Arguments, afterwards: Callable[[Path], object] = lambda _folder: None
) -> int:
    """Execute the failed runs again, as the sweep's own command or overrides of launcher and sweeper say."""
    from distill.cli.compose import compose
    from distill.cli.multirun import executed

    job = folder.jobs()[0]
    own = parse(folder.plan()["command"][1:])
    there = None if own.config_dir is None else str(Path(job.directory or ".") / own.config_dir)
    overrides = (*job.overrides, *arguments.overrides)
    composed = compose(replace(own, overrides=overrides, multirun=False, config_dir=there))
    return executed(folder, composed.config, own.plugins, afterwards, only_failed=True)


def look(folder: SweepFolder) -> Board:
    """The runs of a sweep as their folders tell them; one that runs without anybody keeping it is told as lost."""
    lines = []
    for name in folder.plan()["runs"]:
        claim = folder.claim(name)
        told = folder.status(name)
        lost = told.state == "running" and (claim is None or not claim.held())
        lines.append(Line(name, told, log=str(folder.log(name)), lost=lost))
    return Board(lines, elapsed=max(0.0, time.time() - folder.plan()["created"]))


def _best(folder: SweepFolder, board: Board) -> str | None:
    goals = {job.name: job.goal for job in folder.jobs()}
    values = {line.name: line.status.value for line in board.lines if line.status.value is not None}
    goal = next((goal for name, goal in goals.items() if name in values and goal is not None), None)
    name = goal.best(values) if goal else None
    metric = next((line.status.metric for line in board.lines if line.name == name), None)
    return f"best {metric}: {values[name]:.6g} {name}" if name else None


def _busy(folder: SweepFolder) -> list[str]:
    claims = {name: folder.claim(name) for name in folder.plan()["runs"]}
    busy = [name for name, claim in claims.items() if claim is not None and claim.held()]
    return busy + (["a driver"] if folder.drivers() else [])


def _read(arguments: Arguments) -> tuple[str, SweepFolder]:
    usage = "write distill sweep status|retry|stop FOLDER"
    if len(arguments.words) != 2 or arguments.words[0] not in VERBS:
        raise BadInput(
            "command line", "expected an action and a sweep folder", value=" ".join(arguments.words), remedy=usage
        )
    action, place = arguments.words
    folder = SweepFolder(Path(place).expanduser())
    folder.plan()
    foreign = [text for text in arguments.overrides if not _own(text)] if action == "retry" else arguments.overrides
    if foreign:
        raise BadInput("command line", f"{action} takes no such override", value=foreign[0], remedy=usage)
    return action, folder


def _own(override: str) -> bool:
    """Whether it says where and how runs are executed, and nothing about what they compute."""
    return override.partition("=")[0].partition(".")[0].lstrip("+") in ("launcher", "sweeper")
