"""Runs that die: none takes the sweep with it, each is told with its cause, only those that may pass are retried.

Promises D1, D5, D6 and D8.
"""

import random

import pytest

from distill.sweeps.outcome import Brake
from distill.sweeps.status import Status
from tests.sweeps.scripts import executions

HEALED = "healed = (run.parents[1] / 'healed').exists()\n"
DEATHS = {
    "exception": ("raise ValueError('a fault')", "exception", "ValueError: a fault"),
    "exit": ("sys.exit(7)", "exit", "exited with code 7"),
    "memory": (
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)); bytearray(1 << 30)",
        "memory",
        "MemoryError",
    ),
    "kill": ("os.kill(os.getpid(), signal.SIGKILL)", "memory", "SIGKILL"),
    "fault": ("os.kill(os.getpid(), signal.SIGSEGV)", "crash", "SIGSEGV"),
}


def placed(seed: int) -> tuple[dict[str, str], dict[str, str]]:
    """Sixteen scripts, five of which die in five ways until the sweep is healed; and which ones those are."""
    names = [f"run-{i:02d}" for i in range(16)]
    dying = dict(zip(random.Random(seed).sample(names, 5), DEATHS, strict=True))
    scripts = dict.fromkeys(names, "measure()")
    for name, death in dying.items():
        scripts[name] = f"{HEALED}if not healed:\n    {DEATHS[death][0]}\nmeasure()"
    return scripts, dying


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
def test_five_deaths_in_sixteen_runs(seed, sweep, plan, drive):
    scripts, dying = placed(seed)
    plan(scripts)
    first = drive(retries=1)
    assert (len(first.done), sorted(first.failed), first.exit_code) == (11, sorted(dying), 1)
    for name, death in dying.items():
        status = sweep.status(name)
        assert (status.state, status.kind) == ("failed", DEATHS[death][1])
        assert DEATHS[death][2] in (status.cause or "")
        assert (sweep.run(name) / (status.log or "")).resolve() == sweep.log(name)
        assert sweep.log(name).is_file()
    (sweep.path / "healed").touch()
    second = drive()
    assert (sorted(second.executed), second.exit_code) == (sorted(dying), 0)
    third = drive()
    assert (third.executed, len(third.done), third.exit_code) == ([], 16, 0)
    assert all(executions(sweep, name) == 1 for name in scripts if name not in dying)


TRANSIENT = {
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "memory": "raise MemoryError",
    "cuda": "raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')",
    "reset": "raise ConnectionResetError(104, 'Connection reset by peer')",
    "dns": "raise OSError('[Errno -3] Temporary failure in name resolution')",
    "busy": "print('HTTPError: 429 Too Many Requests'); sys.exit(1)",
}
PERMANENT = {
    "config": "print('conf/train.yaml:3 temperature: no'); sys.exit(2)",
    "numbers": "print('loss is not finite'); sys.exit(3)",
    "disk": "print('/x: 3 MiB free'); sys.exit(4)",
    "exception": "raise ValueError('a fault')",
    "segfault": "os.kill(os.getpid(), signal.SIGSEGV)",
    "exit": "sys.exit(9)",
}


def test_only_what_may_pass_is_tried_again_and_at_most_twice(sweep, plan, drive):
    plan(TRANSIENT | PERMANENT)
    outcome = drive(jobs=3)
    assert sorted(outcome.failed) == sorted(TRANSIENT | PERMANENT)
    assert {name: executions(sweep, name) for name in TRANSIENT} == dict.fromkeys(TRANSIENT, 3)
    assert {name: executions(sweep, name) for name in PERMANENT} == dict.fromkeys(PERMANENT, 1)
    assert sweep.status("memory").attempts == 3


def test_a_retry_that_helps_is_a_success(sweep, plan, drive):
    once = "first = (run / 'executions').read_text() == 'x'\nif first: raise ConnectionError('gone')\nmeasure()"
    plan({"a": once})
    assert drive().exit_code == 0
    assert (executions(sweep, "a"), sweep.status("a").attempts, sweep.status("a").cause) == (2, 2, None)


def test_after_memory_ran_out_the_smaller_command_is_taken(sweep, plan, drive):
    too_big = "raise MemoryError"
    plan({"a": too_big}, smaller={"a": [too_big, "measure(2.5)"]})
    assert drive().exit_code == 0
    assert sweep.status("a").value == 2.5


def test_a_network_failure_keeps_the_command(sweep, plan, drive):
    plan({"a": "raise ConnectionError('gone')"}, smaller={"a": ["measure()"]})
    assert drive().failed == ["a"]


def test_the_brake_stops_after_three_equal_failures(sweep, plan, drive):
    plan({f"run-{i}": f"raise RuntimeError('no device {i}')" for i in range(8)})
    outcome = drive(jobs=1, brake=3)
    assert (len(outcome.failed), len(outcome.queued), outcome.exit_code) == (3, 5, 1)
    assert outcome.brake is not None
    assert "3 equal failures in a row" in outcome.brake
    assert "no device" in outcome.brake
    assert not sweep.run("run-7").exists()  # who has not claimed a run touches nothing in its folder


def braked(*ends: str) -> bool:
    """Whether runs that end so, one after the other, make a brake of three stop."""
    brake = Brake(3)
    states = [Status("done") if end == "done" else Status("failed", f"{end}: 7", "exception") for end in ends]
    return any(brake.told(status) for status in states)


def test_only_equal_failures_in_a_row_brake():
    assert braked("done", "ValueError", "ValueError", "ValueError")
    assert not braked("ValueError", "KeyError", "ValueError", "KeyError", "TypeError")
    assert not braked("ValueError", "ValueError", "done", "ValueError", "ValueError")
    assert not any(Brake(0).told(Status("failed", "x", "exit")) for _ in range(9))


NO_RESULT = {
    "missing": "pass",
    "nan": "measure(None)",
    "infinite": "measure(float('inf'))",
    "other-split": "measure(split='train')",
    "other-subject": "measure(subject='control')",
    "other-metric": "measure(metric='perplexity')",
    "nan-at-last": "measure(1.0); measure(None)",
    "half-a-row": "(run / 'metrics.jsonl').write_text('{\"subject\": \"stu')",
    "no-row": "(run / 'metrics.jsonl').write_text('nonsense\\n')",
    "empty": "(run / 'metrics.jsonl').write_text('')",
}


def test_a_run_without_a_finite_result_is_never_done(sweep, plan, drive):
    plan(NO_RESULT | {"good": "measure(9.0)"})
    outcome = drive(jobs=3)
    assert (outcome.done, sorted(outcome.failed)) == (["good"], sorted(NO_RESULT))
    causes = {name: sweep.status(name).cause for name in NO_RESULT if name != "no-row"}
    assert set(causes.values()) == {"no finite bits_per_byte"}
    assert sweep.status("good").value == 9.0


def test_without_a_goal_exit_code_0_is_enough(plan, drive):
    plan({"a": "pass"}, goal=None)
    assert drive().done == ["a"]


def test_a_command_that_does_not_start_is_a_failure_like_any_other(sweep, plan, drive):
    plan({"a": "measure()", "b": "measure()"}, directory="/no/such/folder")
    assert drive().failed == ["a", "b"]
    assert "cannot be started" in (sweep.status("a").cause or "")


def test_what_a_run_wrote_of_its_own_failure_is_kept(sweep, plan, drive):
    told = {"state": "failed", "cause": "step 12: loss is not finite"}
    plan({"a": f"time.sleep(0.3); (run / 'status.json').write_text(json.dumps({told})); print('noise'); sys.exit(3)"})
    assert drive().failed == ["a"]
    assert (sweep.status("a").cause, sweep.status("a").kind) == ("step 12: loss is not finite", "numbers")


def test_a_run_that_ruins_its_status_takes_nobody_with_it(sweep, plan, drive):
    plan({"a": "(run / 'status.json').write_text('nonsense'); time.sleep(1.0); measure()", "b": "measure()"})
    assert drive().done == ["a", "b"]
    assert sweep.status("a").state == "done"


def test_a_secret_in_a_cause_is_hidden(sweep, plan, drive, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "canary0123456789")
    plan({"a": "raise ValueError('bad ' + os.environ['HF_TOKEN'])"})
    assert drive().failed == ["a"]
    assert "canary" not in (sweep.run("a") / "status.json").read_text()
