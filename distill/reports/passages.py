"""Held-out text shaded by how far the student is from its teacher, token by token.

The shade is √(KL / 4 nats), at most 1, so that one nat is as dark on every page. The numbers are those of
``samples.jsonl``; they sum to the row ``shown_kl_to_teacher`` times the tokens shown.
"""

import math

from distill.reports.document import Heading, Item, Shaded, Table, Token, label
from distill.reports.gather import SUBJECTS, Run
from distill.reports.measures import significant
from distill.reports.said import Passage, Word

_SHOWN = ("student", "control")
_WORST = 12
_DARKEST = 4.0
"""Nats from which on a token is as dark as can be."""
_CAPTION = (
    "Held-out text, as the student and its control see it. The darker a token, the further their distribution there is "
    "from the teacher’s (KL, nats). Touch a token for the likeliest tokens of both. Means are over the tokens shown."
)


def passages(run: Run) -> Shaded | None:
    """The passages of student and control; None where none were kept."""
    kept = [one for one in run.passages if one.subject in _SHOWN and one.words]
    if not kept:
        return None
    kept.sort(key=lambda one: (one.sample, SUBJECTS.index(one.subject)))
    texts = tuple((p.subject, label(p.subject), _mean(p), tuple(_token(word) for word in p.words)) for p in kept)
    return Shaded(texts, _CAPTION, _worst(kept))


def _mean(passage: Passage) -> str:
    mean = math.fsum(word.divergence for word in passage.words) / len(passage.words)
    return f"text {passage.sample + 1}: {mean:.3f} nats a token over {len(passage.words)}"


def _token(word: Word) -> Token:
    over = f"KL {word.divergence:.3f} nats; gives it {100 * word.chance:.1f} %"
    sides = [
        tuple((_visible(text), f"{100 * chance:.1f} %") for text, chance in side) for side in (word.teacher, word.own)
    ]
    return Token(word.text, min(1.0, math.sqrt(max(word.divergence, 0.0) / _DARKEST)), over, *sides)


def _visible(text: str) -> str:
    """Spaces and ends of line as signs: a list of likeliest tokens is full of them."""
    return text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")


def _worst(kept: list[Passage]) -> Table:
    """The tokens with the largest divergence of all that the student is shown on."""
    words = [
        (p.sample, place, word) for p in kept if p.subject == kept[0].subject for place, word in enumerate(p.words)
    ]
    words.sort(key=lambda found: -found[2].divergence)
    rows = tuple(
        (
            Item(_visible(word.text)),
            Item(f"{sample + 1}, {place + 1}"),
            Item(significant(word.divergence), word.divergence),
            Item(_first(word.teacher)),
            Item(_first(word.own)),
        )
        for sample, place, word in words[:_WORST]
    )
    headings = (Heading("token", numeric=False), Heading("text, place"), Heading("KL", "nats"))
    named = (
        Heading("teacher’s likeliest", numeric=False),
        Heading(f"{label(kept[0].subject)}’s likeliest", numeric=False),
    )
    return Table((*headings, *named), rows, "The tokens shown at which the two differ most.")


def _first(side: tuple[tuple[str, float], ...]) -> str:
    return f"{_visible(side[0][0])} ({100 * side[0][1]:.0f} %)" if side else ""
