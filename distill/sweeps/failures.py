"""Why a run died, from how it ended and what it last said; and whether trying again can help.

Left out on purpose: reading the kernel's log for the out-of-memory killer (it needs rights that a cluster does not
give). A SIGKILL that we did not send is taken for it, which costs at most the allowed retries when it was a person.
"""

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["input", "numbers", "resource", "memory", "network", "crash", "exception", "exit", "objective", "lost"]
TRANSIENT: frozenset[Kind] = frozenset({"memory", "network"})
_BY_CODE: Mapping[int, Kind] = {2: "input", 3: "numbers", 4: "resource"}
_TAIL = 64 * 1024

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_EXCEPTION = re.compile(r"^(?:[\w, -]+: ){0,2}[A-Za-z_][\w.]*(?:Error|Exception|Exit|Stop|Inputs?|Timeout)\b(?::.*)?$")
_MEMORY = re.compile(r"MemoryError|out of memory|OutOfMemory|allocate memory|bad_alloc|\[Errno 12\]", re.IGNORECASE)
_NETWORK = re.compile(
    r"ConnectionError|Connection(Reset|Refused|Aborted)|ConnectTimeout|ReadTimeout|TimeoutError|Max retries exceeded|"
    r"name resolution|Name or service not known|Network is unreachable|No route to host|RemoteDisconnected|"
    r"RemoteProtocolError|couldn't connect to|LocalEntryNotFoundError|HTTP\w*Error.*\b(429|500|502|503|504)\b|"
    r"\[Errno (101|104|110|111|113)\]",
    re.IGNORECASE,
)
_TORCHRUN = re.compile(r"^[WE]\d{4} .*torch/distributed/elastic", re.MULTILINE)
_RANK_CODE = re.compile(r"exitcode\s*:\s*(-?\d+)")


@dataclass(frozen=True)
class Failure:
    """How a run failed.

    Attributes:
        kind: what sort of failure; ``memory`` and ``network`` may pass by themselves.
        cause: one line for a person.
        exit: exit code, None when a signal ended the process.
        signal: the signal's name.
    """

    kind: Kind
    cause: str
    exit: int | None = None
    signal: str | None = None

    @property
    def transient(self) -> bool:
        return self.kind in TRANSIENT


def signature(kind: str | None, cause: str | None) -> str:
    """Equal for failures that are the same failure: numbers, addresses and paths are taken out of the cause."""
    return f"{kind}: " + re.sub(r"0x[0-9a-f]+|/\S+|\d+(\.\d+)?", "#", cause or "")


def diagnose(code: int, text: str, told: str | None = None) -> Failure:
    """Name the failure of a process.

    Args:
        code: its return code; -n when signal n ended it.
        text: the end of what it printed (``tail``).
        told: the cause that the run itself wrote down before it ended.
    """
    if "ChildFailedError" in text and (rank := _RANK_CODE.search(text, max(0, text.find("Root Cause")))):
        code = int(rank.group(1))  # torchrun answers 1 for whatever happened to a rank, and says a lot
        text = _TORCHRUN.split(text)[0]
    if code < 0:
        return _signalled(-code, told)
    last = last_words(text)
    said = last if told is None or told in last else told
    evidence = f"{told}\n{last}"
    if code in _BY_CODE:
        kind = "memory" if code == 4 and _MEMORY.search(evidence) else _BY_CODE[code]
        return Failure(kind, said or f"exit code {code}", exit=code)
    if code > 128 and code - 128 in {s.value for s in signal.Signals}:  # a shell's way to say "signal"
        return _signalled(code - 128, told)
    if _MEMORY.search(evidence):
        return Failure("memory", said, exit=code)
    if _NETWORK.search(evidence):
        return Failure("network", said, exit=code)
    if code == 1 and (told or _EXCEPTION.match(last)):
        return Failure("exception", said, exit=code)
    return Failure("exit", f"exited with code {code}" + (f" ({said})" if said else ""), exit=code)


def _signalled(number: int, told: str | None) -> Failure:
    name = signal.Signals(number).name
    if number == signal.SIGKILL:
        return Failure("memory", "killed by SIGKILL (as the system does when memory runs out)", signal=name)
    cause = f"ended by {name}" + (f" ({told})" if told else "")
    return Failure("crash", cause, signal=name)


def tail(log: Path, since: int = 0) -> str:
    """The last 64 KiB of a log, nothing before byte ``since``, without terminal escapes."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, log.stat().st_size - _TAIL))
            return _ESCAPES.sub("", file.read().decode("utf-8", errors="replace"))
    except FileNotFoundError:
        return ""


def last_words(text: str, limit: int = 300) -> str:
    """The last exception line of a log, or its last line; printable, at most ``limit`` characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines[-40:] if _EXCEPTION.match(line)]
    chosen = errors[-1] if errors else lines[-1] if lines else ""
    shown = "".join(c if c.isprintable() else "?" for c in chosen)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
