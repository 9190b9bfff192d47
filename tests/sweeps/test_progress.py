"""What a person sees while a sweep runs: every change once, everything as text."""

import io

import pytest
from rich.console import Console

from distill.sweeps.board import Board, Line, clock, estimate
from distill.sweeps.progress import PlainLines, shown, table
from distill.sweeps.status import State, Status

FORTY: list[State] = ["done"] * 40
HOSTILE = "[red]x[/red] [link=javascript:1]y[/link]"


def board(*states: State, **fields) -> Board:
    return Board([Line(f"run-{i}", Status(state, cause=HOSTILE)) for i, state in enumerate(states)], **fields)


def test_plain_lines_tell_each_change_once():
    lines: list[str] = []
    plain = PlainLines(lines.append)
    for one in (board("done", "queued"), board("done", "queued"), board("done", "running"), board("done", "running")):
        plain.show(one)
    plain.show(board("done", "failed", note="stopped after 3"))
    plain.show(board("done", "failed", note="stopped after 3"))
    assert [line.partition(" (log")[0] for line in lines] == [
        "1 of 2 are done already",
        "[1/2 done] run-1: running",
        f"[1/2 done] run-1: failed: {HOSTILE}",
        "stopped after 3",
    ]


def test_markup_in_a_cause_is_text():
    console = Console(file=io.StringIO(), width=200)
    console.print(table(board("failed")))
    assert HOSTILE in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_long_sweep_shows_first_what_is_at_work_or_failed():
    console = Console(file=io.StringIO(), width=100)
    console.print(
        table(Board([*board(*FORTY).lines, Line("bad", Status("failed")), Line("busy", Status("running"))]), most=5)
    )
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "bad" in told
    assert "busy" in told
    assert "37 more" in told


def test_a_live_table_ends_as_a_table_and_a_summary():
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with shown(console) as show:
        show(board("running", "queued"))
        show(board("done", "failed", elapsed=75.0))
    assert "1 done, 1 failed, 0 running, 0 queued of 2; 1m 15s" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0s"), (59.6, "1m 00s"), (130, "2m 10s"), (3720, "1h 02m")])
def test_clock(seconds, told):
    assert clock(seconds) == told


def test_the_estimate_counts_rounds():
    assert estimate([], 4, 2) is None
    assert estimate([10.0, 20.0], 5, 2) == 45.0
    assert estimate([10.0], 0, 2) == 0.0
