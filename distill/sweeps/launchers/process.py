"""Runs as processes of this machine, some at a time, its cores divided between them."""

import os
import subprocess
from typing import ClassVar

import psutil

from distill.ranges import Count
from distill.sweeps import processes
from distill.sweeps.folder import SweepFolder
from distill.sweeps.launchers.launcher import Handle, Launcher
from distill.sweeps.task import Task

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")
"""What the libraries that compute look at when they are imported; torch takes its threads from the first."""


class ProcessLauncher(Launcher):
    """Runs on this machine, ``jobs`` at a time, each in its own process with its share of the cores.

    Args:
        jobs: how many runs at a time.
        threads: threads of each run. null: ``OMP_NUM_THREADS`` if it is set, else the cores divided by ``jobs``;
            it does not depend on how many runs are left, for numbers may depend on it.
        devices: accelerators to deal out, one a run (``[0, 1]``); null: every run sees all of them. Two runs on
            one accelerator share its memory. Not tried on a machine with several accelerators.
    """

    restarts: ClassVar[int] = 2

    def __init__(self, jobs: Count = 2, threads: Count | None = None, devices: list[int] | None = None) -> None:
        self.jobs, self.threads, self.devices = jobs, threads, devices
        self._slots: list[_Process | None] = [None] * jobs

    def start(self, task: Task) -> Handle:
        """Start a keeper in the first free place. Raises BadInput when Python itself cannot be started."""
        slot = next((i for i, handle in enumerate(self._slots) if handle is None or handle.poll() is not None), 0)
        log = SweepFolder(task.folder).log(task.run)
        handle = _Process(processes.start(task.command(), log, self.environment(slot), announced=False))
        self._slots[slot] = handle
        return handle

    def environment(self, slot: int) -> dict[str, str]:
        """The variables of the run in place ``slot``."""
        told = {name: str(self._threads(name)) for name in THREADS}
        if self.devices:
            told["CUDA_VISIBLE_DEVICES"] = str(self.devices[slot % len(self.devices)])
        return told

    def _threads(self, variable: str) -> int:
        set_by_hand = os.environ.get(variable, "")
        if self.threads is None and set_by_hand.isdigit():
            return int(set_by_hand)
        return self.threads or max(1, cores() // self.jobs)


class _Process(Handle):
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()


def cores() -> int:
    """The cores that this process may use."""
    try:
        return len(psutil.Process().cpu_affinity() or []) or psutil.cpu_count() or 1
    except AttributeError:  # macOS does not tell
        return psutil.cpu_count() or 1
