"""Questions with their reasons: what was given, what each subject said, and whether its answer is right.

For people who must trust a student. Made of samples alone: every text here can be found in ``samples.jsonl``.
"""

from distill.reports.document import Voices, label
from distill.reports.gather import SUBJECTS, Run
from distill.reports.said import Reasoned

ONE = "Reasons and answer are one text: the answer was written after these reasons."
APART = (
    "Reasons and answer were asked for apart, with two prefixes: they are what the student says when it is asked why, "
    "and did not lead to the answer beside them."
)


def reasons(run: Run) -> Voices | None:
    """Question, given reasons and answer, and every subject's own, marked right or wrong."""
    if not run.reasoned:
        return None
    order = {subject: place for place, subject in enumerate(SUBJECTS)}
    told = sorted(run.reasoned, key=lambda one: order.get(one.subject, len(order)))
    questions: dict[str, list[tuple[str, str, str]]] = {}
    for one in told:
        given = ("given", "given", _said(one.reasons, one.reference, ""))
        voices = questions.setdefault(one.question, [given])
        voices.append((one.subject, label(one.subject), _said(one.text, one.answer, one.verdict)))
    caption = f"{APART if any(one.apart for one in told) else ONE} {_counted(told)}"
    return Voices(tuple((question, tuple(voices)) for question, voices in questions.items()), caption)


def _said(text: str, answer: str, verdict: str) -> str:
    mark = f" ({verdict})" if verdict else ""
    return "\n".join([*([text] if text else []), f"Answer: {answer or 'none'}{mark}"])


def _counted(told: list[Reasoned]) -> str:
    """How many of the shown answers are right, by subject."""
    counts: dict[str, list[bool]] = {}
    for one in told:
        counts.setdefault(label(one.subject), []).append(one.verdict == "right")
    said = ", ".join(f"{name} {sum(right)} of {len(right)}" for name, right in counts.items())
    return f"Right among those shown: {said}."
