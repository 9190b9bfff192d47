"""Drivers that are killed, doubled, interrupted: no run is lost, none is executed twice.

Promises D2 and D3.
"""

import os
import random
import signal
import subprocess
import time

import pytest

from distill.sweeps.claims import latest
from distill.sweeps.driver import Driver
from distill.sweeps.launchers.process import ProcessLauncher
from distill.sweeps.status import Status
from distill.sweeps.task import Patience
from tests.sweeps.scripts import executions, rows, said, wait_until

SLOWLY = "time.sleep(0.3)\nmeasure()"
RESUMES = """
step = run / "step"
for i in range(int(step.read_text()) if step.exists() else 0, 8):
    time.sleep(0.05); (run / "next").write_text(str(i + 1)); os.replace(run / "next", step)
if not (run / "metrics.jsonl").exists(): measure()
"""
PATIENT = """
def checkpoint(number, frame):
    (run / "checkpoint").touch(); sys.exit(143)
signal.signal(signal.SIGTERM, checkpoint)
if (run / "checkpoint").exists(): measure(); sys.exit(0)
time.sleep(60)
"""
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)"
RANDOM_TIMES = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))]


@pytest.mark.parametrize("seed", RANDOM_TIMES)
def test_a_killed_driver_loses_nothing_and_repeats_nothing(seed, sweep, plan, begin):
    names = [f"run-{i}" for i in range(6)]
    plan(dict.fromkeys(names, SLOWLY))
    moment = random.Random(seed)
    for _ in range(2):
        driver = begin(sweep)
        time.sleep(moment.uniform(0.2, 1.2))
        driver.kill()
        driver.communicate()
    said(begin(sweep))
    assert [sweep.status(name).state for name in names] == ["done"] * 6
    assert {name: executions(sweep, name) for name in names} == dict.fromkeys(names, 1)
    assert {name: rows(sweep, name) for name in names} == dict.fromkeys(names, 1)


@pytest.mark.parametrize("seed", RANDOM_TIMES)
def test_killed_with_its_keepers_it_repeats_no_finished_run(seed, sweep, plan, begin):
    names = [f"run-{i}" for i in range(6)]
    plan(dict.fromkeys(names, RESUMES))
    driver = begin(sweep)
    time.sleep(random.Random(seed).uniform(0.5, 1.8))
    driver.kill()
    driver.communicate()
    kill_keepers(sweep, names)
    finished = [name for name in names if sweep.status(name).state == "done"]
    executed, _, failed = said(begin(sweep))
    assert not failed
    assert not set(executed) & set(finished)
    assert [sweep.status(name).state for name in names] == ["done"] * 6
    assert not [name for name in names if (sweep.run(name) / "overlap").exists()]
    assert {name: rows(sweep, name) for name in names} == dict.fromkeys(names, 1)


def kill_keepers(sweep, names):
    for name in names:
        claim = latest(sweep.claims(name))
        if claim is not None and claim.held():
            owner = claim.owner()
            assert owner is not None
            os.kill(owner.pid, signal.SIGKILL)
            wait_until(lambda claim=claim: not claim.held())


@pytest.mark.parametrize("seed", RANDOM_TIMES)
def test_two_drivers_share_the_work(seed, sweep, plan, begin):
    names = [f"run-{i}" for i in range(8)]
    dying = random.Random(seed).choice(names)
    plan({name: "raise ValueError" if name == dying else "time.sleep(0.05); measure()" for name in names})
    drivers = [begin(sweep, jobs=2), begin(sweep, jobs=2)]
    told = [said(driver) for driver in drivers]
    assert {name: executions(sweep, name) for name in names} == dict.fromkeys(names, 1)
    assert sorted(told[0][0] + told[1][0]) == names
    for _, done, failed in told:
        assert (sorted(done), failed) == (sorted(set(names) - {dying}), [dying])
    assert [driver.returncode for driver in drivers] == [1, 1]


def test_a_run_that_fails_under_another_driver_is_not_tried_again(sweep, plan, begin):
    plan({"a": "raise ValueError", "b": "time.sleep(1.5); measure()"})
    first = begin(sweep, jobs=1)
    wait_until(lambda: sweep.status("b").state == "running")
    executed, done, failed = said(begin(sweep, jobs=1))
    first.communicate(timeout=20)
    assert (executed, done, failed) == ([], ["b"], ["a"])
    assert executions(sweep, "a") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_children_and_leaves_what_can_be_resumed(number, sweep, plan, begin):
    plan(dict.fromkeys("abc", PATIENT))
    driver = begin(sweep, jobs=2)
    wait_until(lambda: pids(sweep, "ab") is not None)
    time.sleep(0.1)
    driver.send_signal(number)
    said(driver)
    assert driver.returncode == 128 + number
    assert [sweep.status(name).state for name in "abc"] == ["queued"] * 3
    assert all((sweep.run(name) / "checkpoint").exists() for name in "ab")
    assert not any(map(alive, pids(sweep, "ab") or []))
    assert not sweep.drivers()
    again = begin(sweep)
    wait_until(lambda: pids(sweep, "c") is not None and sweep.status("b").state == "done")
    again.send_signal(signal.SIGTERM)
    said(again)
    assert [sweep.status(name).state for name in "abc"] == ["done", "done", "queued"]


def test_the_second_signal_does_not_wait(sweep, plan, begin):
    plan({"a": STUBBORN})
    driver = begin(sweep)
    wait_until(lambda: pids(sweep, "a") is not None)
    time.sleep(0.2)
    began = time.monotonic()
    driver.send_signal(signal.SIGINT)
    time.sleep(0.5)
    driver.send_signal(signal.SIGINT)
    said(driver)
    assert time.monotonic() - began < 3.0
    assert not any(map(alive, pids(sweep, "a") or []))


def test_a_request_stops_drivers_and_keepers(sweep, plan, begin):
    plan(dict.fromkeys("ab", PATIENT))
    driver = begin(sweep, jobs=1)
    wait_until(lambda: pids(sweep, "a") is not None)
    time.sleep(0.1)
    sweep.request_stop()
    said(driver)
    assert driver.returncode == 143
    assert (sweep.run("a") / "checkpoint").exists()
    assert executions(sweep, "b") == 0


@pytest.mark.slow
def test_a_request_stops_keepers_without_a_driver(sweep, plan, begin):
    plan({"a": PATIENT})
    driver = begin(sweep, jobs=1)
    wait_until(lambda: pids(sweep, "a") is not None)
    driver.kill()
    driver.communicate()
    time.sleep(0.1)
    sweep.request_stop()
    wait_until(lambda: sweep.status("a").state == "queued")
    assert (sweep.run("a") / "checkpoint").exists()


def test_an_old_request_stops_nobody(sweep, plan, drive):
    plan({"a": "measure()"})
    sweep.request_stop()
    assert drive().done == ["a"]


def test_a_keeper_that_is_killed_is_followed_by_another(sweep, plan, begin):
    plan({"a": "if (run / 'executions').read_text() == 'x': time.sleep(60)\nmeasure()"})
    driver = begin(sweep, jobs=1)
    wait_until(lambda: pids(sweep, "a") is not None)
    kill_keepers(sweep, ["a"])
    _, done, _ = said(driver)
    assert (done, executions(sweep, "a")) == (["a"], 2)
    assert not (sweep.run("a") / "overlap").exists()


def test_a_run_that_takes_its_keeper_with_it_every_time_is_a_failure(sweep, plan, drive):
    plan({"a": "os.kill(os.getppid(), signal.SIGKILL)", "b": "measure()"})
    outcome = drive(jobs=1)
    assert (outcome.done, outcome.failed) == (["b"], ["a"])
    assert sweep.status("a").kind == "lost"
    assert executions(sweep, "a") == 3


def test_a_run_that_ended_well_after_its_keeper_died_is_judged_not_repeated(sweep, plan, drive, begin):
    plan({"a": "time.sleep(1.0); measure(); (run / 'status.json').write_text('{\"state\": \"done\"}')"})
    driver = begin(sweep, jobs=1)
    wait_until(lambda: pids(sweep, "a") is not None)
    driver.kill()
    driver.communicate()
    kill_keepers(sweep, ["a"])
    wait_until(lambda: sweep.status("a").state == "done")
    assert sweep.status("a").value is None
    assert drive().done == ["a"]
    assert (executions(sweep, "a"), sweep.status("a").value) == (1, 1.5)


def test_the_running_state_tells_process_host_and_start(sweep, plan, begin):
    plan({"a": PATIENT})
    driver = begin(sweep)
    wait_until(lambda: pids(sweep, "a") is not None and sweep.status("a").state == "running")
    status: Status = sweep.status("a")
    assert status.pid == (pids(sweep, "a") or [0])[0]
    assert status.host
    assert abs((status.started or 0.0) - time.time()) < 10.0
    driver.terminate()
    said(driver)


def test_what_a_run_starts_dies_with_it(sweep, plan, drive):
    waiting = "[sys.executable, '-c', 'import time; time.sleep(60)']"
    worker = f"import subprocess\nworker = subprocess.Popen({waiting}, start_new_session=True)\n"
    death = "(run / 'worker').write_text(str(worker.pid)); os.kill(os.getpid(), signal.SIGSEGV)"
    plan({"a": worker + death})
    assert drive().failed == ["a"]
    number = int((sweep.run("a") / "worker").read_text())
    wait_until(lambda: not alive(number))


def pids(sweep, names: str) -> list[int] | None:
    """The processes of runs, once all have begun."""
    files = [sweep.run(name) / "pid" for name in names]
    told = [file.read_text() if file.exists() else "" for file in files]
    return [int(one) for one in told] if all(told) else None


def alive(pid: int) -> bool:
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(told) and not told.startswith("Z")


def test_a_run_that_is_given_up_is_stopped_for_good_and_is_no_failure(sweep, plan):
    plan({"hopeless": PATIENT, "good": "measure()"})

    def halt(job):
        begun = (sweep.run(job.name) / "executions").exists()
        return "worse than the others" if job.name == "hopeless" and begun else None

    patience = Patience(retries=0, backoff=0.05, grace=5.0)
    outcome = Driver(sweep, ProcessLauncher(2), patience, halt=halt).drive()
    assert (outcome.done, outcome.failed, outcome.queued, outcome.pruned) == (["good"], [], [], ["hopeless"])
    assert outcome.exit_code == 0
    told = sweep.status("hopeless")
    assert (told.state, told.cause) == ("pruned", "worse than the others")
    assert None not in (told.log, told.started, told.ended)
    assert Driver(sweep, ProcessLauncher(2), patience).drive().executed == []  # it is through
    assert executions(sweep, "hopeless") == 1
    assert (sweep.run("hopeless") / "checkpoint").exists()
