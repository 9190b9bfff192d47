"""Drives a sweep: decides which runs are to be executed, starts keepers for them, and watches how they end.

Everything it knows is in the sweep folder, so it may be killed and started again, or started twice: a run is begun
by a compare-and-swap on its claim, never by what a driver remembers. The order of one round: collect what ended,
look at what others do, stop if asked to, start what is free to start.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from distill.sweeps import lastwords
from distill.sweeps.board import Board, Line, estimate
from distill.sweeps.folder import SweepFolder
from distill.sweeps.job import Job
from distill.sweeps.keeper import ELSEWHERE
from distill.sweeps.launchers.launcher import Handle, Launcher
from distill.sweeps.outcome import Brake, Outcome
from distill.sweeps.status import Status
from distill.sweeps.task import Patience, Task

_ROUND, _BEAT, _LOOK_AROUND = 0.1, 5.0, 0.5
_Show = Callable[[Board], None]


@dataclass
class _Seat:
    """One run as this driver sees it. ``begun``: executions so far, as of the last look; ``crew``: the how manieth
    keeper that was started executes it."""

    job: Job
    status: Status
    begun: int = 0
    place: str = "free"  # free | here | elsewhere | settled
    handle: Handle | None = None
    restarts: int = 0
    crew: int = 0
    halted: str | None = None


@dataclass
class Driver:
    """Executes the runs of a sweep folder that are not done.

    Args:
        folder: the sweep folder, its plan written.
        launcher: where runs are executed, and how many at a time.
        patience: retries, backoff and grace of a run.
        brake: equal failures in a row after which no further run is started.
        show: is called with the board whenever something changed, and twice a second.
        halt: says why a run that is at work here should be stopped for good; it counts as pruned, not as failed.
    """

    folder: SweepFolder
    launcher: Launcher
    patience: Patience = field(default_factory=Patience)
    brake: Brake = field(default_factory=Brake)
    show: _Show = lambda _board: None
    halt: Callable[[Job], str | None] = lambda _job: None

    def drive(self, only: Callable[[Job, Status], bool] | None = None) -> Outcome:
        """Execute what is missing or failed, until every run is settled. Call it in the main thread.

        A run that failed under another driver which is still alive is not tried again by this one.

        Args:
            only: which of the unfinished runs to execute; None: all of them.

        Raises:
            DistillError: the folder cannot be read or written.
        """
        with ExitStack() as stack:
            since = min(self.folder.drivers().values(), default=float("inf"))
            mark = stack.enter_context(self.folder.registered())
            self._prepare(mark, since, only)
            stack.callback(
                self._put_back, {n: signal.signal(n, self._interrupt) for n in (signal.SIGINT, signal.SIGTERM)}
            )
            while not self._round():
                time.sleep(_ROUND)
            self._tell()
        return self._outcome()

    # --- the beginning ------------------------------------------------------------------------------------------

    def _prepare(self, mark: Path, since: float, only: Callable[[Job, Status], bool] | None) -> None:
        self._mark, self._began, self._beaten, self._looked = mark, time.time(), time.monotonic(), 0.0
        self._request, self._signals, self._number = self.folder.stop_request(), 0, signal.SIGTERM
        self._stopped, self._asked_to_stop, self._told_stop, self._braked = False, False, 0, None
        self._executed: list[str] = []
        self._crews = 0
        self._seconds: list[float] = []
        self._seats = [_Seat(job, Status()) for job in self.folder.jobs()]
        for seat in self._seats:
            self._look(seat)
            young = seat.status.state == "failed" and (seat.status.ended or 0.0) >= since
            unwanted = only is not None and not only(seat.job, seat.status)
            if seat.place == "free" and (young or unwanted):
                seat.place = "settled"

    def _look(self, seat: _Seat) -> None:
        """See what the folder tells about a run that is not executed here."""
        claim = self.folder.claim(seat.job.name)
        held = claim is not None and claim.held()
        seat.begun = 0 if claim is None else claim.number
        seat.status = self.folder.status(seat.job.name)
        finished = seat.status.state == "done" and (seat.job.goal is None or seat.job.goal.accepts(seat.status.metric))
        finished = finished or seat.status.state == "pruned"
        seat.place = "elsewhere" if held else "settled" if finished else "free"

    def _look_again(self, seat: _Seat, theirs: bool = False) -> None:
        """Look; a run that failed under another driver since the last look is settled, not tried once more here."""
        before = seat.begun
        self._look(seat)
        if seat.place == "free" and seat.status.state == "failed" and (theirs or seat.begun != before):
            seat.place = "settled"

    # --- a round ------------------------------------------------------------------------------------------------

    def _round(self) -> bool:
        """One round; True when nothing is left to do."""
        self._beat()
        changed = self._collect()
        if time.monotonic() - self._looked > _LOOK_AROUND:
            self._looked = time.monotonic()
            self._asked_to_stop = self.folder.stop_request() != self._request
            changed = self._look_around() or changed
            self._tell()
        self._heed()
        if not self._stopped and self._braked is None:
            changed = self._start() or changed
        if changed:
            self._tell()
        here = any(seat.place == "here" for seat in self._seats)
        waiting = any(seat.place in ("free", "elsewhere") for seat in self._seats)
        return not here and (self._stopped or self._braked is not None or not waiting)

    def _collect(self) -> bool:
        """Take in the runs that ended here."""
        changed = False
        for seat in self._seats:
            if seat.handle is None or (code := seat.handle.poll()) is None:
                continue
            seat.handle, changed = None, True
            if code == ELSEWHERE:
                self._executed.remove(seat.job.name)
            self._look_again(seat, theirs=code == ELSEWHERE)
            if code == ELSEWHERE or seat.place == "elsewhere":
                continue
            if seat.status.state in ("done", "failed"):
                self._settle(seat)
            elif seat.halted is not None:
                self._prune(seat, seat.halted)
            elif seat.restarts < self.launcher.restarts:
                seat.restarts += 1  # stopped by a queue's time limit, or its keeper was killed: once more
            else:
                self._give_up(seat, code)
        return changed

    def _settle(self, seat: _Seat) -> None:
        seat.place = "settled"
        if (seconds := seat.status.seconds(time.time())) is not None:
            self._seconds.append(seconds)
        self._braked = self._braked or self.brake.told(seat.status)

    def _give_up(self, seat: _Seat, code: int) -> None:
        """The failure of a run whose keeper could not write it down."""
        status = lastwords.given_up(self.folder, seat.job.name, seat.begun, seat.restarts + 1, code)
        if status is None:
            return self._look(seat)
        seat.status = status
        return self._settle(seat)

    def _prune(self, seat: _Seat, reason: str) -> None:
        """A run that the search has stopped has ended: it is settled, and told as what it is."""
        status = lastwords.pruned(self.folder, seat.job.name, seat.begun, reason, self.patience.grace)
        if status is None:
            return self._look(seat)
        seat.status, seat.place = status, "settled"
        return None

    def _look_around(self) -> bool:
        """See what became of the runs that others execute."""
        changed = False
        for seat in self._seats:
            if seat.place == "elsewhere":
                self._look_again(seat, theirs=True)
                changed = changed or seat.place != "elsewhere"
            elif seat.place == "here" and (told := self.folder.status(seat.job.name)).state == "running":
                seat.status = told  # how it ends is for its keeper to say: a run's own "failed" may be tried again
                self._halt(seat)
        return changed

    def _halt(self, seat: _Seat) -> None:
        """Stop a run that the search has given up."""
        if seat.halted is None and seat.handle is not None and (reason := self.halt(seat.job)) is not None:
            seat.halted, seat.status = reason, replace(seat.status, cause=reason)
            seat.handle.stop()

    def _start(self) -> bool:
        """Fill the free places."""
        free = self.launcher.jobs - len({seat.crew for seat in self._seats if seat.place == "here"})
        waiting = [seat for seat in self._seats if seat.place == "free"]
        changed = False
        while waiting and free > 0:
            crew, waiting = self._crew(waiting)
            for seat in crew:
                self._look_again(seat)
            crew, changed = [seat for seat in crew if seat.place == "free"], True
            if crew:
                self._begin(crew)
                free -= 1
        return changed

    def _crew(self, waiting: list[_Seat]) -> tuple[list[_Seat], list[_Seat]]:
        """The first run that waits and those that can go with it; the others."""
        group = waiting[0].job.group
        alike = [place for place, seat in enumerate(waiting) if group is not None and seat.job.group == group]
        chosen = {0, *alike[: self.launcher.together]}
        crew = [seat for place, seat in enumerate(waiting) if place in chosen]
        return crew, [seat for place, seat in enumerate(waiting) if place not in chosen]

    def _begin(self, crew: list[_Seat]) -> None:
        tasks = [Task(self.folder.path, seat.job.name, seat.begun, self.patience) for seat in crew]
        self._crews += 1
        for seat, handle in zip(crew, self.launcher.start_together(tasks), strict=True):
            seat.handle, seat.place, seat.crew = handle, "here", self._crews
            self._executed.append(seat.job.name)

    # --- stopping -----------------------------------------------------------------------------------------------

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self._signals, self._number = self._signals + 1, signal.Signals(number)

    def _heed(self) -> None:
        """Pass on every wish to stop, once: the second makes keepers end their runs at once."""
        if self._signals == 0 and self._asked_to_stop:
            self._signals = 1
        self._stopped = self._signals > 0
        if self._told_stop < min(self._signals, 2):
            self._told_stop += 1
            for seat in self._seats:
                if seat.handle is not None:
                    seat.handle.stop()

    @staticmethod
    def _put_back(handlers: dict) -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    # --- what is told -------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        if time.monotonic() - self._beaten > _BEAT:
            self._beaten = time.monotonic()
            os.utime(self._mark)

    def _tell(self) -> None:
        left = sum(seat.place != "settled" for seat in self._seats)
        remaining = estimate(self._seconds, left, self.launcher.jobs * self.launcher.together)
        lines = [
            Line(seat.job.name, seat.status, seat.place == "elsewhere", str(self.folder.log(seat.job.name)))
            for seat in self._seats
        ]
        note = "stopping" if self._stopped else self._braked
        self.show(Board(lines, time.time() - self._began, remaining, note))

    def _outcome(self) -> Outcome:
        by_state: dict[str, list[str]] = {"done": [], "failed": [], "queued": [], "running": [], "pruned": []}
        for seat in self._seats:
            by_state[seat.status.state].append(seat.job.name)
        number = self._number.value if self._stopped else None
        left = by_state["queued"] + by_state["running"]
        executed = list(dict.fromkeys(self._executed))
        return Outcome(
            by_state["done"], by_state["failed"], left, executed, self._braked, number, pruned=by_state["pruned"]
        )
