"""In which regime a run stands, in one plain sentence.

A distilled student is worth its teacher only if it beats the same student trained without one. Two controls answer
two questions: ``control`` took the same steps; ``control_compute`` took extra steps worth the teacher's passes. The
numbers are nats a token on the test text, every model at its best validation point:

    worth = control − student,    closed = (control − student) / (control − teacher)

``closed`` is taken in bits per byte, which also compares across tokenizers. A difference counts as one only where
its 95 % interval leaves out zero; without an interval its sign is reported, and that there is none is said.
"""

import math
from dataclasses import dataclass
from typing import Literal

from distill.reports.cells import Cell
from distill.reports.intervals import Estimate
from distill.reports.measures import BITS, NATS, UNDEFINED

Regime = Literal["pays", "steps may do as much", "steps pay more", "does not pay", "undecided", "unknown"]


_UNIT = " nats a token"


@dataclass(frozen=True)
class Verdict:
    """What the numbers say.

    Attributes:
        regime: ``pays`` (the student beats every control there is), ``steps may do as much`` (it beats the control of
            equal steps, against the one of equal compute the interval holds zero), ``steps pay more`` (that one
            beats it), ``does not pay`` (it does not beat even the control of equal steps), ``undecided`` (the
            interval holds zero), ``unknown`` (no student, or nothing to stand it beside).
        headline: the regime in a few words.
        sentence: with its numbers.
        worth: control − student, nats a token.
        worth_of_compute: control_compute − student.
        closed: share of the gap between control and teacher that the student closed.
    """

    regime: Regime
    headline: str
    sentence: str
    worth: Estimate | None = None
    worth_of_compute: Estimate | None = None
    closed: float | None = None


def verdict(cell: Cell) -> Verdict:
    """The verdict on one setting."""
    if cell.estimate("student", NATS.metric) is None:
        return Verdict("unknown", "No verdict", "No student has been measured on the test text yet.")
    steps = cell.difference(NATS.metric, "control", "student")
    compute = cell.difference(NATS.metric, "control_compute", "student")
    if steps is None and compute is None:
        return Verdict("unknown", "No control", "No control was trained, so whether the teacher helped is not known.")
    regime = _regime(steps, compute)
    closed = _closed(cell)
    told = [_compared(steps, "the same model without a teacher")] if steps else []
    if compute:
        told.append(_compared(compute, "the one given the teacher’s compute as extra steps", "" if told else _UNIT))
    sentence = f"The student is {' and '.join(told)}{_share(closed)}. {_caveats(steps, compute)}".strip()
    return Verdict(regime, _HEADLINES[regime], sentence, steps, compute, closed)


_HEADLINES: dict[Regime, str] = {
    "pays": "The teacher pays",
    "steps may do as much": "The teacher helps, but its compute may help as much as extra steps",
    "steps pay more": "The teacher helps, but its compute would help more as extra steps",
    "does not pay": "The teacher does not pay here",
    "undecided": "No difference can be told from chance",
    "unknown": "No verdict",
}


def _regime(steps: Estimate | None, compute: Estimate | None) -> Regime:
    if any(not difference.defined for difference in (steps, compute) if difference is not None):
        return "unknown"
    against_steps = 1 if steps is None else steps.sign
    against_compute = 1 if compute is None else compute.sign
    if against_steps > 0:
        after: dict[int, Regime] = {1: "pays", 0: "steps may do as much", -1: "steps pay more"}
        return after[against_compute]
    return "does not pay" if against_steps < 0 or against_compute < 0 else "undecided"


def _closed(cell: Cell) -> float | None:
    """Share of the gap, or None where the teacher is not ahead of the control."""
    student, control, teacher = (cell.estimate(s, BITS.metric) for s in ("student", "control", "teacher"))
    if student is None or control is None or teacher is None or not control.value > teacher.value:
        return None
    closed = (control.value - student.value) / (control.value - teacher.value)
    return closed if math.isfinite(closed) else None


def _compared(worth: Estimate, other: str, unit: str = _UNIT) -> str:
    if not worth.defined:
        return f"not comparable with {other} (a number is {UNDEFINED})"
    word = "better" if worth.value > 0 else "worse"
    interval = "" if worth.half is None else f" ± {worth.half:.3f}"
    return f"{abs(worth.value):.3f}{interval}{unit} {word} than {other}"


def _share(closed: float | None) -> str:
    if closed is None:
        return ""
    if closed <= 0:
        return "; it closes none of the control’s gap to the teacher"
    return f"; it closes {100 * closed:.0f} % of the control’s gap to the teacher"


def _caveats(steps: Estimate | None, compute: Estimate | None) -> str:
    """What the numbers cannot say."""
    found = [difference for difference in (steps, compute) if difference is not None]
    said: list[str] = []
    if steps is None:
        said.append("A control with the same steps was not trained.")
    if compute is None:
        said.append("A control with the teacher’s compute as extra steps was not trained.")
    seeds = min(difference.seeds for difference in found)
    if seeds > 1:
        said.append(f"Mean and 95 % interval over {seeds} seeds.")
    elif all(difference.half is None for difference in found):
        said.append("One seed, so no interval.")
    else:
        said.append("One seed; the interval is over the text, not over seeds.")
    return " ".join(said)
