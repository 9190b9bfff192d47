"""Sweeps of tiny Python scripts instead of trainings: what a sweep promises has nothing to do with torch."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distill.sweeps.driver import Driver
from distill.sweeps.folder import SweepFolder
from distill.sweeps.goal import Goal
from distill.sweeps.job import Job
from distill.sweeps.launchers.process import ProcessLauncher
from distill.sweeps.outcome import Brake, Outcome
from distill.sweeps.task import Patience
from tests.sweeps.scripts import MEASURED, start_driver


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path / "sweeps" / "tiny-12345678")


@pytest.fixture
def plan(sweep: SweepFolder) -> Callable[..., list[Job]]:
    """``plan({"a": script, …}, smaller={"a": [script]})``: lay down a sweep of scripts."""

    def lay(scripts: dict[str, str], smaller: dict[str, list[str]] | None = None, **fields) -> list[Job]:
        def command(name: str, script: str) -> list[str]:
            return [sys.executable, "-I", "-c", MEASURED + script, str(sweep.run(name))]

        jobs = []
        for name, script in scripts.items():
            less = [command(name, other) for other in (smaller or {}).get(name, [])]
            told = {"goal": Goal("bits_per_byte"), **fields}
            jobs.append(Job(name, command(name, script), smaller=less, **told))
        sweep.write_plan(["distill", "train", "-m"], {}, jobs)
        return jobs

    return lay


@pytest.fixture
def drive(sweep: SweepFolder) -> Callable[..., Outcome]:
    """``drive(jobs=2, brake=0, retries=2)`` in this process."""

    def go(jobs: int = 2, brake: int = 0, retries: int = 2, show=lambda _board: None, only=None) -> Outcome:
        patience = Patience(retries=retries, backoff=0.05, grace=5.0)
        return Driver(sweep, ProcessLauncher(jobs), patience, Brake(brake), show).drive(only)

    return go


@pytest.fixture
def begin() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``begin(sweep, jobs=2)``: a driver in a process of its own, which does not outlive the test."""
    begun: list[subprocess.Popen[str]] = []

    def go(sweep: SweepFolder, jobs: int = 2) -> subprocess.Popen[str]:
        begun.append(start_driver(sweep, jobs))
        return begun[-1]

    yield go
    for driver in begun:
        if driver.poll() is None:
            driver.terminate()
            driver.communicate(timeout=20)
