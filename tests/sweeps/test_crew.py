"""Runs that one process executes together: each has its own end, and none is lost with the process."""

import os
import signal
import sys

import pytest

from distill.sweeps.driver import Driver
from distill.sweeps.folder import SweepFolder
from distill.sweeps.goal import Goal
from distill.sweeps.job import Job
from distill.sweeps.launchers.process import ProcessLauncher
from distill.sweeps.outcome import Brake
from distill.sweeps.task import Patience
from tests.sweeps.scripts import MEASURED, executions, wait_until

ROW = {"subject": "student", "metric": "bits_per_byte", "unit": "bits/byte", "split": "test", "step": 1, "seed": 0}
ROW["value"] = 1.5
TOGETHER = f"""
import json, os, signal, sys, time
from pathlib import Path
sweep, names = Path(sys.argv[1]), sys.argv[2:]
with (sweep / "crews").open("a") as file: file.write(" ".join(names) + chr(10))
def end(name, **told):
    run = sweep / "runs" / name
    run.mkdir(parents=True, exist_ok=True)
    if told["state"] == "done":
        (run / "metrics.jsonl").write_text(json.dumps({ROW}) + chr(10))
    (run / "status.json").write_text(json.dumps({{"ended": time.time(), **told}}))
"""
ALL_WELL = "for name in names: end(name, state='done', exit=0)"


@pytest.fixture
def lay(sweep: SweepFolder):
    """``lay({"a": script alone, …}, together script, groups={"a": "one", …})``."""

    def go(alone: dict[str, str], together: str, groups: dict[str, str | None] | None = None) -> None:
        jobs = []
        for name, script in alone.items():
            command = [sys.executable, "-I", "-c", MEASURED + script, str(sweep.run(name))]
            shared = [sys.executable, "-I", "-c", TOGETHER + together, str(sweep.path)]
            group = (groups or {}).get(name, "one")
            jobs.append(Job(name, command, goal=Goal("bits_per_byte"), group=group, together=shared))
        sweep.write_plan(["distill", "train", "-m"], {}, jobs)

    return go


@pytest.fixture
def drive(sweep: SweepFolder):
    def go(together: int = 8, jobs: int = 1, show=lambda _board: None):
        launcher = ProcessLauncher(jobs, together=together)
        return Driver(sweep, launcher, Patience(retries=0, backoff=0.05, grace=5.0), Brake(0), show).drive()

    return go


def crews(sweep: SweepFolder) -> list[list[str]]:
    return [line.split() for line in (sweep.path / "crews").read_text().splitlines()]


def test_runs_of_a_group_share_processes_of_so_many_at_most(sweep, lay, drive):
    names = [f"run-{i}" for i in range(7)]
    groups = {name: "odd" if i % 2 else "even" for i, name in enumerate(names)} | {"run-6": None}
    lay(dict.fromkeys(names, "measure()"), ALL_WELL, groups)
    outcome = drive(together=2)
    assert (sorted(outcome.done), outcome.exit_code) == (names, 0)
    assert crews(sweep) == [["run-0", "run-2"], ["run-1", "run-3"]]
    assert {name: executions(sweep, name) for name in ("run-4", "run-5", "run-6")} == dict.fromkeys(
        ("run-4", "run-5", "run-6"), 1
    )


def test_one_that_fails_by_itself_has_failed_alone(sweep, lay, drive):
    fails = "end(names[0], state='failed', exit=3, cause='step 4: the norm is nan')\n" + ALL_WELL.replace(
        "names", "names[1:]"
    )
    lay(dict.fromkeys("abc", "measure()"), fails)
    outcome = drive()
    assert (outcome.done, outcome.failed, outcome.exit_code) == (["b", "c"], ["a"], 1)
    assert sweep.status("a").kind == "numbers"
    assert executions(sweep, "a") == 0
    assert drive().done == ["a", "b", "c"]  # what is missing is executed by the same command, here one run alone
    assert crews(sweep) == [["a", "b", "c"]]
    assert [executions(sweep, name) for name in "abc"] == [1, 0, 0]


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(4)", "raise MemoryError"])
def test_a_process_that_is_lost_loses_no_run(sweep, lay, drive, death):
    """Those that it had finished stay so; the others are executed alone, and one that is at fault fails there."""
    lay({"a": "measure()", "b": "sys.exit(3)", "c": "measure()"}, f"end('a', state='done', exit=0); {death}")
    outcome = drive()
    assert (outcome.done, outcome.failed) == (["a", "c"], ["b"])
    assert [executions(sweep, name) for name in "abc"] == [0, 1, 1]
    assert crews(sweep) == [["a", "b", "c"]]
    assert "it goes on alone" in sweep.log("c").read_text()


def test_a_run_that_is_through_is_told_before_the_others_are(sweep, lay, drive):
    slow = "end('a', state='done', exit=0); time.sleep(1.5); end('b', state='done', exit=0)"
    lay(dict.fromkeys("ab", "measure()"), slow)
    seen: list[tuple[str, str]] = []
    drive(show=lambda board: seen.append(tuple(line.status.state for line in board.lines)))
    assert ("done", "running") in seen


def test_asked_to_stop_they_end_in_order_and_go_on_together(sweep, lay, drive):
    waits = """
if (sweep / "again").exists():
    for name in names: end(name, state="done", exit=0)
else:
    (sweep / "again").touch()
    def stop(number, frame):
        for name in names: end(name, state="queued", exit=143)
        sys.exit(143)
    signal.signal(signal.SIGTERM, stop); (sweep / "ready").touch(); time.sleep(60)
"""
    lay(dict.fromkeys("ab", "measure()"), waits)
    asked = []

    def ask(_board) -> None:
        if not asked and (sweep.path / "ready").exists():
            asked.append(signal.raise_signal(signal.SIGTERM))

    stopped = drive(show=ask)
    assert (stopped.queued, stopped.exit_code) == (["a", "b"], 143)
    assert drive().done == ["a", "b"]
    assert crews(sweep) == [["a", "b"]] * 2


def test_a_crew_whose_keeper_is_killed_is_not_executed_twice_at_once(sweep, lay, drive):
    slow = """
mine = sweep / ("alive-" + str(os.getpid())); mine.touch()
for other in sweep.glob("alive-*"):
    stat = Path("/proc/" + other.name[6:] + "/stat")
    if other != mine and stat.exists() and " Z " not in stat.read_text(): (sweep / "overlap").touch()
time.sleep(1.0)
for name in names: end(name, state="done", exit=0)
"""
    lay(dict.fromkeys("ab", "measure()"), slow)
    killed = []

    def kill(_board) -> None:
        claim = sweep.claim("a")
        if not killed and claim is not None and claim.owner() and list(sweep.path.glob("alive-*")):
            killed.append(os.kill(claim.owner().pid, signal.SIGKILL))

    outcome = drive(show=kill)
    assert killed
    assert outcome.done == ["a", "b"], (sweep.status("a"), sweep.log("together").read_text())
    assert not (sweep.path / "overlap").exists()
    wait_until(lambda: not sweep.drivers())
