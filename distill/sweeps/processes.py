"""Starting and ending a run's process with everything it starts itself: one process group a run."""

import os
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import psutil

from distill.errors import BadInput
from distill.sweeps.owner import Owner


def start(
    command: list[str], log: Path, environment: dict[str, str] | None = None, directory: str | None = None
) -> subprocess.Popen[bytes]:
    """Start ``command`` as the leader of a group of its own, its output appended to ``log``, its input empty.

    Args:
        environment: variables set on top of ours.
        directory: where it starts; None: here.

    Raises:
        BadInput: there is no such program or folder.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {' '.join(command)}\n".encode())
        output.flush()
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=directory,
                start_new_session=True,  # Ctrl-C in the terminal reaches the driver alone, which ends runs in order
            )
        except OSError as problem:
            raise BadInput(
                command[0], f"cannot be started ({problem})", remedy="run the sweep's own command again"
            ) from None


def ask(leader: int) -> None:
    """Ask a group to end: SIGTERM."""
    _signal_group(leader, signal.SIGTERM)


def kill(leader: int) -> None:
    """End a group now, or what a dead leader left of it: data loader workers and ranks would hold memory for ever."""
    _signal_group(leader, signal.SIGKILL)


def end_orphan(child: Owner | None, grace: float) -> None:
    """End the process that a dead keeper has left behind, so that one run never has two processes.

    A child on another machine is left alone: its keeper's heart has not beaten for a minute.
    """
    if child is None or not child.here or not child.alive(silence=float("inf")):
        return
    ask(child.pid)
    try:
        psutil.Process(child.pid).wait(timeout=grace)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        kill(child.pid)


def _signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):  # nobody left; macOS answers EPERM when only zombies are
        return
