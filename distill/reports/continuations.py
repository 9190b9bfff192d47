"""What each subject writes after the same prompts, side by side."""

from distill.reports.document import Voices, label
from distill.reports.gather import SUBJECTS, Run


def continuations(run: Run) -> Voices | None:
    """What each subject wrote after the same prompts."""
    order = {subject: i for i, subject in enumerate(SUBJECTS)}
    prompts: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for sample in sorted(run.samples, key=lambda s: order.get(s.subject, len(order))):
        asked = (sample.prompt, sample.picture)
        prompts.setdefault(asked, []).append((sample.subject, label(sample.subject), _said(sample.text)))
    if not prompts:
        return None
    caption = "The same prompts answered by every subject. A few texts are an impression, not a measurement."
    told = tuple((prompt, tuple(voices)) for (prompt, _), voices in prompts.items())
    return Voices(told, caption, tuple(picture for _, picture in prompts))


def _said(text: str) -> str:
    """Without the white space at its end, which an untrained model writes pages of."""
    return text.rstrip() or "(nothing but white space)"
