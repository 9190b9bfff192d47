"""The folder of a run: named by what matters in its config, so that the same command finds it again.

    config.yaml  provenance.json  status.json  error.log        written here
    metrics.jsonl  samples.jsonl  checkpoints/  student/ …      written by what runs

Everything written is redacted. A run that is done is not done twice; one that is not goes on.
"""

import os
import shutil
import socket
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from distill.cli.changes import changes
from distill.cli.compose import Composed
from distill.cli.devices import is_leader
from distill.cli.identity import identity
from distill.cli.provenance import gathered
from distill.errors import BadInput, DistillError
from distill.names import hashed
from distill.secrets import redacted, redacted_command, redacted_text
from distill.storage import is_draft, read_json, write_json, write_text

CONFIG, PROVENANCE, STATUS, ERRORS = "config.yaml", "provenance.json", "status.json", "error.log"
HASHES = "hashes"


class RunFolder:
    """Where a run's files go.

    Args:
        composed: the checked config.
        command: the words as typed.

    Raises:
        BadInput: ``paths.run`` names a folder that holds something else.
    """

    def __init__(self, composed: Composed, command: tuple[str, ...]) -> None:
        self.config, self.identity = redacted(composed.config), identity(composed)
        self.command = redacted_command(command)
        paths = composed.config["paths"]
        named = hashed(composed.config["name"], self.identity)
        self.path = Path(paths["run"] or Path(paths["root"]) / named).expanduser()
        if is_leader():
            self._refuse_other()

    @property
    def done(self) -> bool:
        """Whether the run came to its end."""
        status = read_json(self.path / STATUS)
        return status is not None and status.get("state") == "done"

    @contextmanager
    def running(self) -> Iterator["RunFolder"]:
        """Within, the run is this process's; its end, good or bad, is written down.

        Raises:
            BadInput: another living process runs it.
        """
        if not is_leader():
            yield self
            return
        made = [place for place in (self.path, *self.path.parents) if not place.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise BadInput(
                str(self.path), "another process runs it", remedy="wait for it, or choose paths.run"
            ) from None
        try:
            self._begin()
            yield self
        except BaseException as problem:
            self._end(problem)
            if made and isinstance(problem, BadInput) and not self._has_begun():
                shutil.rmtree(self.path)
                _remove_empty(made[1:])
            raise
        else:
            self._end(None)
        finally:
            lock.release()

    def note(self, **facts: Any) -> None:
        """Add facts to ``provenance.json``; of several ranks, the first one writes."""
        if not is_leader():
            return
        write_json(self.path / PROVENANCE, {**(read_json(self.path / PROVENANCE) or {}), **redacted(facts)})

    def hold_to(self, hashes: Mapping[str, str]) -> None:
        """Note content hashes of what goes into the run, or refuse to go on with others.

        Raises:
            BadInput: the run was begun with something else under the same name.
        """
        known = (read_json(self.path / PROVENANCE) or {}).get(HASHES)
        for name, value in hashes.items():
            if known and known.get(name) != value:
                reason = f"the {name} is not the one that this run was begun with"
                raise BadInput(str(self.path), reason, value=value[:16], remedy="bring it back, or choose paths.run")
        self.note(**{HASHES: dict(hashes)})

    def _has_begun(self) -> bool:
        """Whether anything beyond bookkeeping lies there: refused input leaves nothing behind."""
        bookkeeping = {CONFIG, PROVENANCE, STATUS, ERRORS, ".lock"}
        return any(entry.name not in bookkeeping for entry in self.path.iterdir())

    def _refuse_other(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise BadInput(str(self.path), "is a file, not a run folder", remedy="choose another paths.run")
        known = read_json(self.path / PROVENANCE)
        if known is None:
            # The keeper of a sweep may be writing its status at this moment.
            if any(entry.name not in (STATUS, ".lock") and not is_draft(entry) for entry in self.path.iterdir()):
                raise BadInput(str(self.path), "holds something that is no run", remedy="choose an empty paths.run")
        elif known.get("identity") != self.identity:
            remedy = "repeat its command, or choose another paths.run"
            raise BadInput(str(self.path), f"holds another run ({self._difference()})", remedy=remedy)

    def _difference(self) -> str:
        """The keys in which the run there differs from this config, the first few."""
        try:
            there = yaml.safe_load((self.path / CONFIG).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError):
            return "its config.yaml cannot be read"
        keys = sorted(changes(there, self.config))
        return "it differs in " + ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")

    def _begin(self) -> None:
        known = read_json(self.path / PROVENANCE) or {}
        kept = {HASHES: known[HASHES]} if HASHES in known else {}
        write_json(self.path / PROVENANCE, {**gathered(self.command, self.config, self.identity), **kept})
        # After what says whose folder it is: a kill between the two leaves one that the same command goes on with.
        write_text(self.path / CONFIG, yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))
        self._status("running", started=time.time(), pid=os.getpid(), host=socket.gethostname())

    def _end(self, problem: BaseException | None) -> None:
        code = 0 if problem is None else problem.code if isinstance(problem, DistillError) else 1
        if isinstance(problem, KeyboardInterrupt):
            code = 130
        reason = "finished" if problem is None else redacted_text(str(problem) or type(problem).__name__)
        if problem is not None:
            write_text(self.path / ERRORS, redacted_text("".join(traceback.format_exception(problem))))
        stopped = code > 128
        self.note(ended=datetime.now(UTC).isoformat(timespec="seconds"), exit=code, reason=reason)
        state = "done" if problem is None else "queued" if stopped else "failed"
        cause = {} if problem is None else {"cause": reason, "log": ERRORS}
        self._status(state, ended=time.time(), exit=code, **cause)

    def _status(self, state: str, **told: Any) -> None:
        write_json(self.path / STATUS, {"state": state, **told})


def _remove_empty(places: list[Path]) -> None:
    """Parents that were made for a run that never began; one that another process uses by now stays."""
    for place in places:
        with suppress(OSError):
            place.rmdir()
