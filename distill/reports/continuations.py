"""What each subject writes after the same prompts, side by side."""

from distill.reports.document import Voices, label
from distill.reports.gather import SUBJECTS, Run


def continuations(run: Run) -> Voices | None:
    """What each subject wrote after the same prompts."""
    order = {subject: i for i, subject in enumerate(SUBJECTS)}
    prompts: dict[str, list[tuple[str, str, str]]] = {}
    for sample in sorted(run.samples, key=lambda s: order.get(s.subject, len(order))):
        prompts.setdefault(sample.prompt, []).append((sample.subject, label(sample.subject), _said(sample.text)))
    if not prompts:
        return None
    caption = "The same prompts continued by every subject. Three texts are an impression, not a measurement."
    return Voices(tuple((prompt, tuple(voices)) for prompt, voices in prompts.items()), caption)


def _said(text: str) -> str:
    """Without the white space at its end, which an untrained model writes pages of."""
    return text.rstrip() or "(nothing but white space)"
