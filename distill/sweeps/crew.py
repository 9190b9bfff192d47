"""The keeper of several runs that one process executes together, and has the last word on each of them.

The process writes into each run's folder how that run ended; a run that failed by itself has failed, and its fellows go
on. Where the process itself is lost (killed, out of memory, not begun for a fault of one of them), whatever it has left
undone is executed once more, each run alone and one after the other, from its own last checkpoint: so one run costs the
others time and nothing else.
"""

import signal
import subprocess
import time
from dataclasses import dataclass, replace
from types import FrameType

from distill.errors import BadInput
from distill.storage import sweep_drafts
from distill.sweeps import failures, processes
from distill.sweeps.claims import Claim
from distill.sweeps.job import Job
from distill.sweeps.keeper import ASKING, DONE, ELSEWHERE, Keeper, ended, failed, handled, stopped
from distill.sweeps.status import Status
from distill.sweeps.task import Task

LOG = "together"
"""Of what the processes themselves print; each run's own words are in its own log."""


@dataclass
class _Member:
    """One run of the crew. ``since``: where its log began; ``settled``: its last word is written."""

    keeper: Keeper
    claim: Claim
    job: Job
    since: int
    status: Status
    settled: bool = False

    @property
    def name(self) -> str:
        return self.keeper.run

    def settle(self, status: Status) -> None:
        status.write(self.keeper.folder.run(self.name))
        self.claim.release()
        self.settled = True


class Crew:
    """Holds the claims on several runs while one process executes them."""

    def __init__(self, tasks: list[Task]) -> None:
        self.keepers = [Keeper(task) for task in tasks]
        self.folder = self.keepers[0].folder
        self.patience = self.keepers[0].patience
        self.members: list[_Member] = []

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: once to end the runs with grace, twice to end them now."""
        for keeper in self.keepers:
            keeper.interrupt(number, frame)

    def keep(self) -> int:
        """Execute the runs that nobody else does or has. Returns an exit code of ``keeper.py``.

        Raises:
            DistillError: the folder cannot be read or written; the claims are given back all the same.
        """
        try:
            self._claim()
            self._settle_done()
            if self.open:
                self._together()
            for member in self.open:
                self._alone(member)
        finally:
            for member in self.open:
                member.claim.release()
        return DONE if self.members else ELSEWHERE

    @property
    def open(self) -> list[_Member]:
        return [member for member in self.members if not member.settled]

    @property
    def stopping(self) -> bool:
        return self.keepers[0].stopping()

    def _claim(self) -> None:
        for keeper in self.keepers:
            claim = keeper.claimed()
            if claim is not None:
                log = self.folder.log(keeper.run)
                since = log.stat().st_size if log.exists() else 0
                told = Status(state="running", log=f"../../logs/{log.name}", started=time.time(), attempts=1)
                self.members.append(_Member(keeper, claim, keeper.job(), since, told))

    def _settle_done(self) -> None:
        for member in self.open:
            done = member.keeper.told_done(member.job)
            if done is not None:
                member.settle(done)

    # ----------------------------------------------------------------------------------------------------- together

    def _together(self) -> None:
        """Start the process, watch it, and take in how each run has ended, as soon as it has."""
        members = self.open
        child = self._started(members)
        if child is None:
            return
        self._watch(child)
        if child.returncode != 0:
            for member in members:
                processes.end_orphans(member.claim.token, grace=0.0)
        self._take_in()
        for member in self.open:
            if self.stopping:
                member.settle(stopped(member.status))
            else:
                self._note(member, f"the process that it shared ended with {child.returncode}; it goes on alone")

    def _started(self, members: list[_Member]) -> "subprocess.Popen[bytes] | None":
        first = members[0].job
        tokens = {processes.TOKEN: "\n".join(member.claim.token for member in members)}
        for member in members:
            folder = self.folder.run(member.name)
            folder.mkdir(parents=True, exist_ok=True)
            sweep_drafts(folder)
            member.status.write(folder)  # before it says anything itself
        command = [*first.together, *(member.name for member in members)]
        try:
            with handled(signal.SIG_IGN, [signal.SIGUSR2]):
                return processes.start(command, self.folder.log(LOG), {**first.environment, **tokens}, first.directory)
        except BadInput as problem:
            for member in members:
                self._note(member, str(problem))
            return None

    def _watch(self, child: "subprocess.Popen[bytes]") -> None:
        patient_until = None
        while not ended(child):
            lost = [member for member in self.open if not member.keeper.heartbeat(member.claim)]
            overdue = patient_until is not None and time.monotonic() > patient_until
            if lost or overdue or self.keepers[0].signals > 1:
                processes.kill(child.pid)
            elif self.stopping and patient_until is None:
                patient_until = time.monotonic() + self.patience.grace
                processes.ask(child.pid)
            self._take_in()

    def _take_in(self) -> None:
        """Have the last word on every run that says that it has ended, unless it may be tried again."""
        for member in self.open:
            told = self.folder.status(member.name)
            if told.state == "done":
                member.settle(member.keeper.judged(member.job, replace(member.status, ended=told.ended)))
            elif told.state == "failed":
                text = failures.tail(self.folder.log(member.name), member.since)
                failure = failures.diagnose(told.exit or 1, text, told.cause)
                if not failure.transient:
                    member.settle(failed(replace(member.status, ended=told.ended), failure))

    # -------------------------------------------------------------------------------------------------------- alone

    def _alone(self, member: _Member) -> None:
        """One run as any other, while the rest of the crew waits for it."""
        if self.stopping:
            return member.settle(stopped(member.status))
        member.keeper.beside = [other.claim for other in self.open if other is not member]
        status = member.keeper.attempts(member.claim, member.job)
        if status is None:  # the claim was lost: whoever has it now has the last word
            member.settled = True
            return None
        return member.settle(status)

    def _note(self, member: _Member, line: str) -> None:
        with self.folder.log(member.name).open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")


def perform_together(tasks: list[Task]) -> int:
    """Keep runs with the signals of this process turned into requests to stop. Call it in the main thread."""
    crew = Crew(tasks)
    with handled(crew.interrupt, ASKING):
        return crew.keep()
