"""Starting and ending a run's process with everything it starts itself: one process group a run."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from distill.errors import BadInput

TOKEN = "DISTILL_RUN_CLAIM"
"""The variable by which a run's processes are known to be its; a line a run, where a process executes several."""


def start(
    command: list[str],
    log: Path,
    environment: dict[str, str] | None = None,
    directory: str | None = None,
    announced: bool = True,
) -> subprocess.Popen[bytes]:
    """Start ``command`` as the leader of a group of its own, its output appended to ``log``, its input empty.

    Args:
        environment: variables set on top of ours.
        directory: where it starts; None: here.
        announced: whether the log first tells time and command.

    Raises:
        BadInput: there is no such program or folder.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        if announced:
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
    """End a group now: SIGKILL."""
    _signal_group(leader, signal.SIGKILL)


def end_orphans(token: str, grace: float) -> None:
    """End what a dead run or a dead keeper has left behind: SIGTERM, ``grace`` seconds, SIGKILL.

    Data loader workers and ranks would hold memory for ever, and one run must never have two processes. They are
    found by the variable that a run's process is started with and all of its own inherit, for some (torchrun's
    ranks) leave their group, and a keeper may die before it has written down whom it started. What runs on another
    machine is left alone: its keeper's heart has not beaten for a minute.
    """
    until = time.monotonic() + grace
    for process in _carriers(token):
        with suppress(psutil.Error):
            process.terminate()
    while left := _carriers(token):
        if time.monotonic() > until:
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
        time.sleep(0.1)


def _carriers(token: str) -> list[psutil.Process]:
    """The living processes that carry a token; the dead that nobody reaps have no environment any more."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # gone meanwhile, or somebody else's
            if token in process.environ().get(TOKEN, "").splitlines():
                found.append(process)
    return found


def _signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):  # nobody left; macOS answers EPERM when only zombies are
        return
