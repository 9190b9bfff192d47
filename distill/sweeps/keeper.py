"""The keeper of one run: claims it, executes it, retries it, and has the last word on what became of it.

``python -m distill.sweeps.keeper FOLDER RUN BEGUN`` is started by a launcher, here or on another machine. It lives
apart from the driver, so that a driver that is killed loses nothing: the run goes on, its end is recorded, and the
next driver finds it done. Several runs with their numbers are kept together (``crew.py``). Left out on purpose: knowing
what the command does.
"""

import argparse
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from distill.errors import BadInput, DistillError
from distill.secrets import redacted_text
from distill.storage import sweep_drafts
from distill.sweeps import claims, failures, processes
from distill.sweeps.claims import Claim
from distill.sweeps.failures import Failure
from distill.sweeps.folder import SweepFolder
from distill.sweeps.job import Job
from distill.sweeps.status import Status
from distill.sweeps.task import Patience, Task

DONE, FAILED, ELSEWHERE, STOPPED = 0, 1, 75, 143
"""Exit codes; ELSEWHERE: somebody else was quicker, nothing was executed."""
ASKING = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2]
"""Signals that ask for an end; SIGUSR2 is what a cluster's queue sends some seconds before a job's time is over."""
_BEAT, _ASK, _LOOK = 5.0, 1.0, 0.2


class Keeper:
    """Holds the claim on a run while it executes."""

    def __init__(self, task: Task) -> None:
        self.folder, self.run, self.patience = SweepFolder(task.folder), task.run, task.patience
        self.begun = task.begun
        self.signals = 0
        self._request = self.folder.stop_request()
        self._beaten = self._asked = time.monotonic()
        self._stop = False
        self.beside: list[Claim] = []  # of runs that wait for this one and are kept by the same process

    def keep(self) -> int:
        """Execute the run unless somebody else does or has. Returns an exit code of this module.

        Raises:
            DistillError: the folder cannot be read or written; the claim is given back all the same.
        """
        claim = self.claimed()
        if claim is None:
            return ELSEWHERE
        try:
            job = self.job()
            ended = self.told_done(job) or self.attempts(claim, job)
            if ended is None:
                return ELSEWHERE
            ended.write(self.folder.run(self.run))
        finally:
            claim.release()
        return {"done": DONE, "failed": FAILED}.get(ended.state, STOPPED)

    def claimed(self) -> Claim | None:
        """The claim on the run, what a dead keeper left of it ended; None if somebody else was quicker."""
        before = self.folder.claim(self.run)
        claim = claims.take(self.folder.claims(self.run), after=self.begun)
        try:
            if claim is not None and before is not None and not before.released():
                processes.end_orphans(before.token, self.patience.grace)
        except BaseException:
            if claim is not None:
                claim.release()
            raise
        return claim

    def job(self) -> Job:
        return Job.read(self.folder.job_file(self.run))

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Signal handler: once to end the run with grace, twice to end it now."""
        self.signals += 1

    def told_done(self, job: Job) -> Status | None:
        """A run that finished while nobody kept it (its keeper was killed) is judged, not repeated."""
        status = self.folder.status(self.run)
        return self.judged(job, status) if status.state == "done" else None

    def attempts(self, claim: Claim, job: Job) -> Status | None:
        """Execute until it is done, fails for good, or is stopped; None when the claim was lost meanwhile."""
        command, smaller, attempt = job.command, list(job.smaller), 1
        while True:
            status, code, text = self._execute(claim, job, command, attempt)
            if code is None:
                return None
            if code == 0:
                return self.judged(job, status)
            if self.stopping():
                return stopped(status)
            failure = failures.diagnose(code, text, self._own_words())
            if not failure.transient or attempt > self.patience.retries:
                return failed(status, failure)
            if failure.kind == "memory" and smaller:
                command = smaller.pop(0)
            if not self._wait(claim, self.patience.backoff * 2 ** (attempt - 1)):
                return stopped(status) if self.stopping() else None
            attempt += 1

    def _execute(self, claim: Claim, job: Job, command: list[str], attempt: int) -> tuple[Status, int | None, str]:
        """One attempt: what to write about it, its return code (None: the claim was lost), the end of its log."""
        log, folder = self.folder.log(self.run), self.folder.run(self.run)
        folder.mkdir(parents=True, exist_ok=True)
        sweep_drafts(folder)  # of a keeper that was killed while it wrote; a run wants an empty folder, or its own
        since = log.stat().st_size if log.exists() else 0
        status = Status(state="running", log=f"../../logs/{log.name}", started=time.time(), attempts=attempt)
        try:
            with handled(signal.SIG_IGN, [signal.SIGUSR2]):  # the queue sends it to every process of a job
                child = processes.start(command, log, {**job.environment, processes.TOKEN: claim.token}, job.directory)
        except BadInput as problem:
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{problem}\n")
            return status, problem.code, str(problem)
        status = replace(status, pid=child.pid, host=socket.gethostname())
        status.write(folder)
        mine = self._watch(claim, child)
        if child.returncode != 0:
            processes.end_orphans(claim.token, grace=0.0)
        return status, child.returncode if mine else None, failures.tail(log, since)

    def _watch(self, claim: Claim, child: subprocess.Popen[bytes]) -> bool:
        """Until the child has ended, by itself or because it had to; False when the claim was lost."""
        mine, patient_until = True, None
        while not ended(child):
            mine = mine and self.heartbeat(claim)
            if not mine or self.signals > 1 or (patient_until and time.monotonic() > patient_until):
                processes.kill(child.pid)
            elif self.stopping() and patient_until is None:
                patient_until = time.monotonic() + self.patience.grace
                processes.ask(child.pid)
        return mine

    def judged(self, job: Job, status: Status) -> Status:
        """Exit code 0 is not enough: without a finite objective metric a run is no result."""
        ended = replace(status, exit=0, ended=status.ended or time.time())
        if job.goal is None:
            return replace(ended, state="done")
        try:
            found = job.goal.row(self.folder.run(self.run))
        except BadInput as problem:
            return failed(ended, Failure("objective", str(problem), exit=0))
        if found is None:
            return failed(ended, Failure("objective", f"no finite {job.goal.metric}", exit=0))
        return replace(ended, state="done", metric=found.metric, value=found.value)

    def _own_words(self) -> str | None:
        """The cause that the run wrote into its status before it ended, if it got that far."""
        status = self.folder.status(self.run)
        return status.cause if status.state == "failed" else None

    def stopping(self) -> bool:
        """Whether a signal or a request came; the folder, which may be far away, is asked once a second."""
        if not self._stop and time.monotonic() - self._asked > _ASK:
            self._asked = time.monotonic()
            self._stop = self.folder.stop_request() != self._request
        return self._stop or self.signals > 0

    def heartbeat(self, claim: Claim) -> bool:
        """Beat, now and then; False when the claim is no longer ours (we were silent so long that it was taken)."""
        if time.monotonic() - self._beaten < _BEAT:
            return True
        self._beaten = time.monotonic()
        for one in (claim, *self.beside):
            one.beat()
        return claims.latest(claim.folder.parent) == claim

    def _wait(self, claim: Claim, seconds: float) -> bool:
        """Wait before a retry; False when asked to stop meanwhile."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.stopping() or not self.heartbeat(claim):
                return False
            time.sleep(_LOOK)
        return True


def perform(task: Task) -> int:
    """Keep a run with the signals of this process turned into requests to stop. Call it in the main thread."""
    keeper = Keeper(task)
    with handled(keeper.interrupt, ASKING):
        return keeper.keep()


@contextmanager
def handled(handler: Any, numbers: list[signal.Signals]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether it has; waits a moment for it."""
    try:
        child.wait(_LOOK)
    except subprocess.TimeoutExpired:
        return False
    return True


def stopped(status: Status) -> Status:
    """What to write about a run that was asked to end."""
    return replace(status, state="queued", cause="stopped; goes on from its last checkpoint", ended=time.time())


def failed(status: Status, failure: Failure) -> Status:
    """What to write about a run that failed."""
    told = {"cause": redacted_text(failure.cause), "kind": failure.kind, "exit": failure.exit, "signal": failure.signal}
    return replace(status, state="failed", ended=status.ended or time.time(), **told)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m distill.sweeps.keeper", description=__doc__)
    parser.add_argument("--retries", type=int, default=2)
    parser.add_argument("--backoff", type=float, default=10.0)
    parser.add_argument("--grace", type=float, default=30.0)
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", nargs="+", metavar="RUN BEGUN")
    told = parser.parse_args(arguments)
    patience = Patience(told.retries, told.backoff, told.grace)
    from distill.sweeps.crew import perform_together

    named = zip(told.runs[::2], told.runs[1::2], strict=True)
    tasks = [Task(told.folder, run, int(begun), patience) for run, begun in named]
    try:
        return perform(tasks[0]) if len(tasks) == 1 else perform_together(tasks)
    except DistillError as problem:
        print(problem, file=sys.stderr)
        return problem.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
