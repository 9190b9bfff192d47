"""A signal is a request: it is noted at once and honoured at the next safe point, with a checkpoint.

Signals reach the main thread alone. A training in another thread is told by whoever watches for all of them there.
"""

import signal
import threading
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

    def listen(self) -> None:
        """Take the signals over, also from whoever took them since (Lightning does, when a fit begins)."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            signal.signal(number, self.note)

    @contextmanager
    def watched(self) -> Iterator["Interruption"]:
        """Within, SIGTERM, SIGINT and SIGUSR1 are only noted; the former handlers come back at the end."""
        former = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        try:
            yield self
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in former.items():
                    signal.signal(number, handler)
