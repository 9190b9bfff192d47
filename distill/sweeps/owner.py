"""Who is at work: a process, told apart from every other process that ever had its number."""

import os
import socket
from dataclasses import asdict, dataclass
from typing import Any

import psutil

STALE_AFTER = 60.0
"""Seconds without a heartbeat after which an owner that cannot be looked up counts as dead."""
_SAME_START = 2.0
"""Seconds: the system derives start times from the clock, which may be set while a process lives."""


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes:
        pid: its number, on ``host``.
        host: the machine's name.
        namespace: which numbering of processes ``pid`` belongs to; two containers may share a host name.
        started: seconds since 1970, as the system tells it.
    """

    pid: int
    host: str
    namespace: str
    started: float

    @classmethod
    def of(cls, pid: int) -> "Owner":
        """The living process ``pid`` of this machine. Raises psutil.NoSuchProcess."""
        return cls(pid, socket.gethostname(), _namespace(), psutil.Process(pid).create_time())

    @classmethod
    def told(cls, told: dict[str, Any]) -> "Owner":
        return cls(int(told["pid"]), str(told["host"]), str(told["namespace"]), float(told["started"]))

    def tell(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def here(self) -> bool:
        """Whether this process can be looked up, and signalled, from where we are."""
        return self.host == socket.gethostname() and self.namespace == _namespace()

    def alive(self, silence: float) -> bool:
        """Whether it still lives; ``silence`` is the seconds since its last heartbeat.

        A process of this machine is looked up. One of another machine is believed while its heart beats.
        """
        if not self.here:
            return silence < STALE_AFTER
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return abs(process.create_time() - self.started) < _SAME_START or silence < 5.0
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return silence < STALE_AFTER


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux: one numbering a machine
        return ""
