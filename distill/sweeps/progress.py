"""Shows a sweep while it runs: a live table on a terminal, one plain line a change elsewhere.

Names, causes and values are shown as text, never as markup: they come from config files and from logs.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from distill.sweeps.board import Board, Line, clock

_COLOURS = {"done": "green", "failed": "red", "running": "cyan", "queued": "dim", "pruned": "yellow"}
_ROWS = 24
"""Runs shown live; of a longer sweep those at work and those that failed come first."""


@contextmanager
def shown(console: Console | None = None) -> Iterator[Callable[[Board], None]]:
    """Give a function that shows a board: live on a terminal, as plain lines of what changed otherwise."""
    console = console or Console()
    if not console.is_terminal:
        yield PlainLines().show
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        last: list[Board] = []

        def show(board: Board) -> None:
            last[:] = [board]
            live.update(Group(table(board, _ROWS), Text(_foot(board))))

        yield show
    if last:
        console.print(table(last[0]), Text(_foot(last[0])))


class PlainLines:
    """One line whenever a run changes its state, and one for a note: for logs and pipes.

    What was so before the driver began is told once, in numbers.
    """

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or _print
        self._states: dict[str, str] | None = None
        self._note: str | None = None

    def show(self, board: Board) -> None:
        if self._states is None:
            self._states = {line.name: line.status.state for line in board.lines}
            if board.count("done"):
                self._write(f"{board.count('done')} of {len(board.lines)} are done already")
        for line in board.lines:
            before = self._states.get(line.name, "queued")
            if line.status.state != before:
                self._write(f"[{board.count('done')}/{len(board.lines)} done] {line.name}: {_said(line)}")
            self._states[line.name] = line.status.state
        if board.note != self._note and board.note:
            self._write(board.note)
        self._note = board.note


def table(board: Board, most: int | None = None) -> Table:
    """Runs with state, time, value, and what went wrong with the path of the log."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "state", "time", "value", ""):
        drawn.add_column(name, overflow="fold", justify="right" if name in ("time", "value") else "left")
    chosen = list(board.lines) if most is None else _first(board, most)
    for line in chosen:
        status = line.status
        seconds = status.seconds(time.time()) if status.state != "queued" else None
        drawn.add_row(
            Text(line.name),
            Text(_state(line), style=_COLOURS[status.state]),
            Text("" if seconds is None else clock(seconds)),
            Text("" if status.value is None else f"{status.metric} {status.value:.4g}"),
            Text(_remark(line)),
        )
    if len(chosen) < len(board.lines):
        drawn.add_row(Text(f"… {len(board.lines) - len(chosen)} more"), Text(""), Text(""), Text(""), Text(""))
    return drawn


def _first(board: Board, most: int) -> list[Line]:
    order = {"running": 0, "failed": 1, "queued": 2, "pruned": 3, "done": 4}
    ranked = sorted(range(len(board.lines)), key=lambda i: (order[board.lines[i].status.state], i))
    return [board.lines[i] for i in sorted(ranked[:most])]


def _state(line: Line) -> str:
    return line.status.state + (" elsewhere" if line.elsewhere else ", lost" if line.lost else "")


def _remark(line: Line) -> str:
    status = line.status
    if status.state == "failed":
        return f"{status.cause} (log: {line.log})"
    tries = f"attempt {status.attempts}" if status.attempts > 1 and status.state == "running" else ""
    return tries or (status.cause or "" if status.state in ("queued", "pruned") else "")


def _said(line: Line) -> str:
    status = line.status
    seconds = status.seconds(time.time())
    took = "" if seconds is None or status.state in ("queued", "running") else f" after {clock(seconds)}"
    value = "" if status.value is None else f", {status.metric} {status.value:.4g}"
    remark = _remark(line)
    return f"{status.state}{took}{value}" + (f": {remark}" if remark else "")


def _foot(board: Board) -> str:
    return board.summary() + (f"; {board.note}" if board.note else "")


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
