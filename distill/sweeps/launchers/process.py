"""Runs as processes of this machine, some at a time, its cores divided between them; those that can share a teacher
in one process, if so many of them are asked for."""

import os
import subprocess
import time
from collections.abc import Sequence
from typing import ClassVar

import psutil

from distill.ranges import Count
from distill.sweeps import processes
from distill.sweeps.folder import SweepFolder
from distill.sweeps.keeper import DONE, ELSEWHERE
from distill.sweeps.launchers.launcher import Handle, Launcher
from distill.sweeps.task import Task, command

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")
"""What the libraries that compute look at when they are imported. torch with MKL takes its threads from the second, and
from the first where that is not set: one of them alone decides nothing."""
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""Set for runs that share a process, unless the user has: torch takes large tensors in pages of 2 MiB (Linux,
transparent huge pages on madvise). Students in turns live on fresh memory; a run by itself gains nothing
(docs/performance.md)."""
_LOOK = 0.3  # seconds between two looks at a claim


class ProcessLauncher(Launcher):
    """Runs on this machine, ``jobs`` at a time, each in its own process with its share of the cores.

    Args:
        jobs: how many processes at a time.
        threads: threads of each run. null: ``OMP_NUM_THREADS`` if it is set, else the cores divided by ``jobs``;
            it does not depend on how many runs are left, for numbers may depend on it.
        devices: accelerators to deal out, one a run (``[0, 1]``); null: every run sees all of them. Two runs on
            one accelerator share its memory. Not tried on a machine with several accelerators.
        together: runs of equal data, order and teacher that share a process, at most: one pass of the teacher for all.
            Each holds its own weights, gradients, optimiser state and activations.
    """

    restarts: ClassVar[int] = 2

    def __init__(
        self,
        jobs: Count = 2,
        threads: Count | None = None,
        devices: list[int] | None = None,
        together: Count = 1,
    ) -> None:
        self.jobs, self.threads, self.devices, self.together = jobs, threads, devices, together
        self._slots: list[_Process | None] = [None] * jobs

    def start(self, task: Task) -> Handle:
        """Start a keeper in the first free place. Raises BadInput when Python itself cannot be started."""
        return self._started([task])

    def start_together(self, tasks: Sequence[Task]) -> list[Handle]:
        process = self._started(tasks)
        process.left = len(tasks)
        return [process] if len(tasks) == 1 else [_Member(process, task) for task in tasks]

    def _started(self, tasks: Sequence[Task]) -> "_Process":
        slot = next((i for i, handle in enumerate(self._slots) if handle is None or handle.poll() is not None), 0)
        log = SweepFolder(tasks[0].folder).log(tasks[0].run)
        handle = _Process(processes.start(command(tasks), log, self.environment(slot, len(tasks)), announced=False))
        self._slots[slot] = handle
        return handle

    def environment(self, slot: int, runs: int = 1) -> dict[str, str]:
        """The variables of the process in place ``slot`` for so many runs."""
        told = {name: str(self._threads(name)) for name in THREADS}
        if runs > 1 and LARGE_PAGES not in os.environ:
            told[LARGE_PAGES] = "1"
        if self.devices:
            told["CUDA_VISIBLE_DEVICES"] = str(self.devices[slot % len(self.devices)])
        return told

    def _threads(self, variable: str) -> int:
        by_hand = (os.environ.get(name, "") for name in (variable, THREADS[0]))
        told = next((int(one) for one in by_hand if one.isdigit()), None)
        return self.threads or told or max(1, cores() // self.jobs)


class _Process(Handle):
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.asked = 0
        self.left = 1  # members that are not through

    def poll(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        self.asked += 1
        if self._process.poll() is None:
            self._process.terminate()


class _Member(Handle):
    """One of the runs of a keeper: it may be through before the others are."""

    def __init__(self, process: _Process, task: Task) -> None:
        self._process, self._task, self._folder = process, task, SweepFolder(task.folder)
        self._asked, self._looked = 0, time.monotonic()

    def poll(self) -> int | None:
        code = self._process.poll()
        if code is None and time.monotonic() - self._looked < _LOOK:
            return None
        self._looked = time.monotonic()
        claim = self._folder.claim(self._task.run)
        if claim is None or claim.number <= self._task.begun:  # not begun yet, or never
            return code
        owner = claim.owner()
        if owner is not None and owner.pid != self._process.pid:
            return ELSEWHERE
        return self._through(code) if claim.released() else code

    def _through(self, code: int | None) -> int | None:
        """The last of them waits for the process itself."""
        if code is None and self._process.left > 1:
            self._process.left -= 1
            return DONE
        return code

    def stop(self) -> None:
        """All members are asked, one after the other; their keeper hears it once."""
        self._asked += 1
        if self._asked > self._process.asked:
            self._process.stop()


def cores() -> int:
    """The cores that this process may use."""
    try:
        return len(psutil.Process().cpu_affinity() or []) or psutil.cpu_count() or 1
    except AttributeError:  # macOS does not tell
        return psutil.cpu_count() or 1
