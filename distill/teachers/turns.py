"""Several trainings in one process that take turns: threads of which one works at a time, always the hindmost.

A training says at which place it is and waits there; when all that are still at it wait, the one at the earliest place
goes on, so that all come to one place before any leaves it for the next. Nothing runs at the same time: what one
thread draws, counts or writes cannot depend on the others. The random generators, which are the process's, are put back
as a training left them whenever its turn comes.

Left out on purpose: speed by threads. It comes from what is computed once for all of them (``together.py``).
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

Place = tuple[int, ...]
START: Place = (-1,)


class Turns:
    """Who goes on when all wait.

    Args:
        members: how many trainings there are; nobody begins before all have come.
    """

    def __init__(self, members: int) -> None:
        self._left = members
        self._guard = threading.Lock()
        self._waiting: dict[Turn, Place] = {}
        self._came = 0

    def turn(self) -> "Turn":
        """A member's own."""
        self._came += 1
        return Turn(self, self._came)

    def wait(self, turn: "Turn", place: Place) -> None:
        """Let the others come up; returns when ``turn`` is the hindmost of all."""
        with self._guard:
            self._waiting[turn] = place
            self._pass_on()
        turn.go.acquire()

    def leave(self) -> None:
        """One member less to wait for."""
        with self._guard:
            self._left -= 1
            self._pass_on()

    def _pass_on(self) -> None:
        """While somebody works, not all of them wait."""
        if self._waiting and len(self._waiting) == self._left:
            chosen = min(self._waiting, key=lambda turn: (self._waiting[turn], turn.number))
            del self._waiting[chosen]
            chosen.go.release()


class Turn:
    """One training's part in it, used by its own thread."""

    def __init__(self, turns: Turns, number: int) -> None:
        self.turns, self.number, self.go = turns, number, threading.Semaphore(0)

    def wait(self, place: Place) -> None:
        """Wait at a place; the generators come back as they are now."""
        kept = _generators()
        self.turns.wait(self, place)
        _put_back(kept)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Within, this thread works in its turn; whatever ends it, the others no longer wait for it."""
        self.turns.wait(self, START)
        try:
            yield
        finally:
            self.turns.leave()


def _generators() -> tuple[Any, ...]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return torch.get_rng_state(), cuda, np.random.get_state(), random.getstate()  # noqa: NPY002 - parts may draw from it


def _put_back(kept: tuple[Any, ...]) -> None:
    cpu, cuda, numpys, pythons = kept
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
    np.random.set_state(numpys)  # noqa: NPY002
    random.setstate(pythons)
