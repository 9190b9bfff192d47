"""A run that is told to stop says so in its exit code, and the same command finishes it as if nothing had been."""

import signal
import subprocess
import sys
import time

import pytest

from distill.rows import METRICS, WALL_CLOCK_UNITS, read


def started(words):
    return subprocess.Popen(
        [sys.executable, "-m", "distill", "train", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(words):
    with started(words) as process:
        told = process.communicate(timeout=200)[0]
    assert process.returncode == 0, told


def facts(folder):
    return [row for row in read(folder / METRICS) if row.unit not in WALL_CLOCK_UNITS]


def until(folder, subject, step, process):
    """Wait until the metrics file tells of a subject's step."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / METRICS).exists() and any(r.subject == subject and r.step >= step for r in read(folder / METRICS)):
            return
        time.sleep(0.02)
    raise AssertionError(f"no step {step} of {subject}: {process.communicate()[0]}")


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow)],
)
def test_stopped_and_started_again_is_the_straight_run(tiny, laboratory, number, code):
    words = [word for word in tiny if not word.startswith(("measure", "trainer.max_steps"))]
    words += ["trainer.max_steps=400", "cadence.validate=50", "control=steps", "measure=none"]
    straight, stopped = laboratory / "straight", laboratory / f"stopped-{number}"
    if not straight.exists():
        finished([*words, f"paths.run={straight}"])
    with started([*words, f"paths.run={stopped}"]) as process:
        until(stopped, "control", 30, process)
        process.send_signal(number)
        told = process.communicate(timeout=60)[0]
    assert process.returncode == code, told
    if number != signal.SIGKILL:
        assert "the same command goes on from there" in told
    finished([*words, f"paths.run={stopped}"])
    for subject in ("student", "control"):
        weights = [folder / subject / "model.safetensors" for folder in (straight, stopped)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    assert facts(stopped) == facts(straight)
