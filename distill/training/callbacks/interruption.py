"""A signal is a request: it is noted at once and honoured at the next safe point, with a checkpoint."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Interruption:
    """Remembers which signal asked for a stop; ``requested`` is 0 while none has."""

    def __init__(self) -> None:
        self.requested = 0

    def note(self, number: int, frame: FrameType | None = None) -> None:
        self.requested = number

    @contextmanager
    def watched(self) -> Iterator["Interruption"]:
        """Within, SIGTERM, SIGINT and SIGUSR1 are only noted; the former handlers come back at the end."""
        former = {number: signal.signal(number, self.note) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
