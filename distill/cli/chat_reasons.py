"""``/why``: how a student that learnt reasons beside answers is asked for either, told by its run's data.

A student of two tasks knows them by their prefixes, so a question is put to it as its training put it. Its reasons did
not lead to its answer: they are what it writes when it is asked for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DATA = "distill.data.rationale.RationaleData"
UNTAUGHT = "it did not learn to give reasons (a run of data=rationale data.form=tasks does)"
WHOLE = "its reasons stand in its answer: it learnt both as one text"


@dataclass(frozen=True)
class Asking:
    """What stands around a question.

    Attributes:
        answers, reasons: before it; ``reasons`` is None where a student gives none, or none apart.
        behind: after it.
        refusal: why there are no reasons.
    """

    answers: str = ""
    reasons: str | None = None
    behind: str = ""
    refusal: str = UNTAUGHT

    def prompt(self, question: str) -> str:
        """To be answered."""
        return self.answers + question + self.behind

    def why(self, question: str) -> str | None:
        """To be reasoned about."""
        return None if self.reasons is None else self.reasons + question + self.behind


def asking(run: Mapping[str, Any] | None) -> Asking:
    """How a run's student is asked; as it stands, where the run is none of reasons."""
    node = (run or {}).get("data") or {}
    if node.get("_target_") != DATA:
        return Asking()
    behind = str(node.get("behind", "\n"))
    if node.get("form", "tasks") != "tasks":
        return Asking(behind=behind, refusal=WHOLE if node.get("form") == "single" else UNTAUGHT)
    label, rationale = (str(node.get(f"{task}_prefix", f"[{task}] ")) for task in ("label", "rationale"))
    return Asking(label, rationale, behind)
