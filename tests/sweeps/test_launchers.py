"""Launchers divide cores, deal out accelerators, and hand a run to a queue that keeps it as a process would."""

import os
import signal
import time

import pytest

from distill.errors import BadInput
from distill.sweeps.driver import Driver
from distill.sweeps.launchers import process
from distill.sweeps.launchers.process import ProcessLauncher
from distill.sweeps.launchers.slurm import SlurmLauncher
from distill.sweeps.outcome import Brake
from distill.sweeps.task import Patience, Task
from tests.sweeps.scripts import executions, wait_until


@pytest.mark.parametrize(
    ("cores", "jobs", "threads", "expected"), [(8, 2, None, 4), (2, 4, None, 1), (8, 2, 3, 3), (7, 2, None, 3)]
)
def test_cores_are_divided(monkeypatch, cores, jobs, threads, expected):
    for name in process.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(process, "cores", lambda: cores)
    told = ProcessLauncher(jobs, threads).environment(0)
    assert {told[name] for name in process.THREADS} == {str(expected)}


def test_threads_set_by_hand_stay(monkeypatch):
    for name in process.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    told = ProcessLauncher(2).environment(0)
    assert {told[name] for name in process.THREADS} == {"5"}  # torch with MKL would take another number from the second
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    assert ProcessLauncher(2).environment(0)["MKL_NUM_THREADS"] == "7"
    assert ProcessLauncher(2).environment(0)["RAYON_NUM_THREADS"] == "5"
    assert ProcessLauncher(2, threads=3).environment(0)["OMP_NUM_THREADS"] == "3"


def test_runs_that_share_a_process_get_large_pages_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delenv(process.LARGE_PAGES, raising=False)
    assert ProcessLauncher().environment(0, runs=2)[process.LARGE_PAGES] == "1"
    assert process.LARGE_PAGES not in ProcessLauncher().environment(0)
    monkeypatch.setenv(process.LARGE_PAGES, "0")
    assert process.LARGE_PAGES not in ProcessLauncher().environment(0, runs=2)


def test_devices_are_dealt_out_one_a_run(sweep, plan):
    plan(dict.fromkeys("abcd", f"(run / 'device').write_text(os.environ['CUDA_VISIBLE_DEVICES']); {SLOW}"))
    Driver(sweep, ProcessLauncher(2, devices=[3, 5])).drive()
    told = [(sweep.run(name) / "device").read_text() for name in "abcd"]
    assert sorted(told) == ["3", "3", "5", "5"]
    assert set(told[:2]) == {"3", "5"}


SLOW = "time.sleep(0.2); measure()"


def test_no_more_than_so_many_at_a_time(sweep, plan):
    plan({f"run-{i}": "(run / 'began').write_text(str(time.time())); time.sleep(0.3); measure()" for i in range(5)})
    Driver(sweep, ProcessLauncher(2)).drive()
    spans = [
        (float((sweep.run(f"run-{i}") / "began").read_text()), sweep.status(f"run-{i}").ended or 0.0) for i in range(5)
    ]
    assert max(sum(a <= b < end for a, end in spans) for b, _ in spans) == 2


def test_without_submitit_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    with pytest.raises(BadInput, match="slurm"):
        SlurmLauncher().start(Task(tmp_path, "a", 0))


def test_a_queue_keeps_runs_as_processes_are_kept(sweep, plan):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    plan({"a": "measure()", "b": "sys.exit(3)", "c": "measure(None)"})
    outcome = Driver(sweep, SlurmLauncher(jobs=3, cluster="local"), Patience(grace=2.0), Brake(0)).drive()
    assert (outcome.done, outcome.failed, outcome.exit_code) == (["a"], ["b", "c"], 1)
    assert (sweep.path / "slurm").is_dir()


@pytest.mark.slow
def test_a_job_whose_time_is_over_goes_on_in_another(sweep, plan):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    script = """
def checkpoint(number, frame):
    (run / "checkpoint").touch(); sys.exit(143)
signal.signal(signal.SIGTERM, checkpoint)
if not (run / "checkpoint").exists(): time.sleep(60)
measure()
"""
    plan({"a": script})

    def warn(_board) -> None:
        claim = sweep.claim("a")
        if executions(sweep, "a") == 1 and claim is not None and not warned and (sweep.run("a") / "pid").exists():
            time.sleep(0.3)
            warned.append(os.kill(claim.owner().pid, signal.SIGUSR2))

    warned: list = []
    driver = Driver(sweep, SlurmLauncher(jobs=1, cluster="local"), Patience(grace=5.0), Brake(0), warn)
    outcome = driver.drive()
    assert warned
    assert (outcome.done, executions(sweep, "a")) == (["a"], 2)
    wait_until(lambda: not sweep.drivers())
