"""The few errors a person sees: one line that says where, what, why and what to do, and an exit code.

Anything else that escapes is a bug and keeps its traceback. ``__main__`` prints these with ``str`` and exits
with ``code``.
"""


class DistillError(Exception):
    """``PLACE: VALUE: REASON; REMEDY`` on one line.

    Args:
        place: a file, ``file:line``, or a config key: where a person has to look.
        reason: why it cannot be so.
        value: what stood there, if anything did.
        remedy: what to do instead.
    """

    code = 1

    def __init__(self, place: str, reason: str, *, value: object = None, remedy: str = "") -> None:
        self.place, self.reason, self.value, self.remedy = place, reason, value, remedy
        shown = "" if value is None else f"{_shortened(value)}: "
        advice = f"; {remedy}" if remedy else ""
        super().__init__(_printable(f"{place}: {shown}{reason}{advice}"))


class BadInput(DistillError):
    """The user's config, data, model folder or command line cannot be used (exit 2)."""

    code = 2


class BadInputs(BadInput):
    """Several faults of one kind found in one look, one line each (exit 2)."""

    def __init__(self, faults: list[BadInput]) -> None:
        Exception.__init__(self, "\n".join(str(fault) for fault in faults))
        self.faults = faults


class NumericalStop(DistillError):
    """A loss, a gradient or a model's answer is not finite (exit 3)."""

    code = 3


class ResourceStop(DistillError):
    """Disk, memory or permission is missing (exit 4)."""

    code = 4


class Interrupted(DistillError):
    """A signal asked the run to stop, and it did, at a checkpoint (exit 128 + the signal's number)."""

    def __init__(self, place: str, signal: int, reason: str) -> None:
        super().__init__(place, reason, remedy="the same command goes on from there")
        self.code = 128 + signal


def _shortened(value: object, limit: int = 120) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _printable(text: str) -> str:
    """One line, no control characters: names and values come from files that nobody has read."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
