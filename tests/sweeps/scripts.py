"""Drivers in processes of their own, and what the scripts of tiny sweeps have left behind."""

import json
import subprocess
import sys
import time
from collections.abc import Callable

from distill.sweeps.folder import SweepFolder

MEASURED = """
import json, os, resource, signal, sys, time
from pathlib import Path
run = Path(sys.argv[1]); run.mkdir(parents=True, exist_ok=True)
before = run / "pid"
if before.exists():
    stat = Path("/proc/" + before.read_text() + "/stat")
    if stat.exists() and " Z " not in stat.read_text():  # where nobody reaps orphans, the dead stay in the table
        (run / "overlap").touch()
before.write_text(str(os.getpid()))
with (run / "executions").open("a") as file:
    file.write("x")
ROW = dict(subject="student", metric="bits_per_byte", unit="bits/byte", split="test", step=1, seed=0)
def measure(value=1.5, **changed):
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(ROW | dict(value=value) | changed) + chr(10))
"""
"""What every script begins with; ``run`` is its run folder."""

_DRIVE = """
import json, sys
from pathlib import Path
from distill.sweeps.driver import Driver
from distill.sweeps.folder import SweepFolder
from distill.sweeps.task import Patience
from distill.sweeps.launchers.process import ProcessLauncher
patience = Patience(retries=2, backoff=0.05, grace=5.0)
outcome = Driver(SweepFolder(Path(sys.argv[1])), ProcessLauncher(int(sys.argv[2])), patience).drive()
print(json.dumps([outcome.executed, outcome.done, outcome.failed]))
sys.exit(outcome.exit_code)
"""


def start_driver(sweep: SweepFolder, jobs: int = 2) -> subprocess.Popen[str]:
    """A driver in a process of its own."""
    command = [sys.executable, "-c", _DRIVE, str(sweep.path), str(jobs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(driver: subprocess.Popen[str], timeout: float = 60.0) -> tuple[list[str], list[str], list[str]]:
    """What a driver executed, and which runs it says are done and failed."""
    out, _ = driver.communicate(timeout=timeout)
    executed, done, failed = json.loads(out)
    return executed, done, failed


def executions(sweep: SweepFolder, name: str) -> int:
    """How often a run's process really began."""
    path = sweep.run(name) / "executions"
    return len(path.read_text()) if path.exists() else 0


def rows(sweep: SweepFolder, name: str) -> int:
    path = sweep.run(name) / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it never came about"
        time.sleep(0.02)
