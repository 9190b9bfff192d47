"""What a driver writes about a run whose keeper had no last word: it was given up, or the search pruned it.

Like everybody, a driver touches a run's folder only under a claim, taken after the execution that it speaks of: where
somebody has begun the run again meanwhile, nothing is written.
"""

import time
from dataclasses import replace

from distill.secrets import redacted_text
from distill.sweeps import claims, failures, processes
from distill.sweeps.folder import SweepFolder
from distill.sweeps.status import Status


def given_up(folder: SweepFolder, name: str, begun: int, tries: int, code: int) -> Status | None:
    """Write down the failure of a run whose keeper could not; None: it is somebody else's now.

    Args:
        folder: the sweep.
        name: the run.
        begun: how often the run had been begun when its end was seen.
        tries: how often it was begun by this driver.
        code: with which its keeper ended.
    """
    failure = failures.diagnose(code, failures.tail(folder.log(name)))
    cause = f"begun {tries} times and never ended by itself; last: {redacted_text(failure.cause)}"
    return _written(folder, name, begun, Status("failed", cause, "lost", log=f"../../logs/{name}.txt"))


def pruned(folder: SweepFolder, name: str, begun: int, reason: str, grace: float) -> Status | None:
    """Write down that a run was stopped for good by the search; None: it is somebody else's now.

    Args:
        folder, name, begun: see ``given_up``.
        reason: at which step and by what.
        grace: seconds that its process has to end, where its keeper was killed and left it behind.
    """
    before = folder.claim(name)
    if before is not None and not before.released() and not before.held():
        processes.end_orphans(before.token, grace)
    return _written(folder, name, begun, replace(folder.status(name), state="pruned", cause=reason))


def _written(folder: SweepFolder, name: str, begun: int, status: Status) -> Status | None:
    claim = claims.take(folder.claims(name), after=begun)
    if claim is None:
        return None
    try:
        status = replace(status, ended=status.ended or time.time())
        status.write(folder.run(name))
    finally:
        claim.release()
    return status
