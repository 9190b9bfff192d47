"""A question, its answer, and why: one schema for what people wrote, what a program made, and what a teacher says.

    {"question": "…", "answer": "18", "rationale": "16 − 3 − 4 = 9, and 9 · 2 = 18.", "domain": "gsm8k"}

``rationales`` may hold several. Rows of one question are one question, so that all its rationales stand in one split.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

from distill.data.corpus import Tally

SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Question:
    """
    Attributes:
        text: as asked, choices among it where there are some.
        answer: in the form in which it is to be given.
        rationales: why, each without the answer's own line; may be none.
        domain: where it is from.
        wrong: an answer that is not right, where the source knows one.
    """

    text: str
    answer: str
    rationales: tuple[str, ...] = ()
    domain: str = ""
    wrong: str = ""


class Reader(ABC):
    """Where questions come from.

    Attributes:
        source: what a person would type to get them; named in errors and reports.
        pattern: of the answer in a written text, where the source has a custom of its own.
    """

    source: str
    pattern: ClassVar[str] = r"####\s*(.+)"

    @abstractmethod
    def read(self, tally: Tally) -> Iterator[Question]:
        """Every question, with ``tally`` told of every row; the same at every call.

        Raises:
            BadInput: the source cannot be used.
        """


@dataclass
class Gathered:
    """Questions by their text, in the order they came; rows that add nothing are told apart."""

    questions: dict[str, Question] = field(default_factory=dict)

    def add(self, questions: Iterable[Question]) -> Iterator[str]:
        """The text of every question that is new; a further rationale of a known one joins it."""
        for one in questions:
            known = self.questions.get(one.text)
            if known is None:
                self.questions[one.text] = one
            elif known.answer == one.answer:
                more = dict.fromkeys((*known.rationales, *one.rationales))
                self.questions[one.text] = replace(known, rationales=tuple(more))
            yield one.text


def said(text: str, pattern: re.Pattern[str]) -> str | None:
    """The answer that a written text gives: the last match's first group, else None.

    Commas between digits, units of money and a last full stop are no part of it.
    """
    found = list(pattern.finditer(text))
    return normal(found[-1].group(1) if pattern.groups else found[-1].group(0)) if found else None


def normal(answer: str) -> str:
    """An answer as it is compared: 1,024. and $1024 and 1024.0 are one; so are "The house" and house."""
    plain = SPACE.sub(" ", re.sub(r"(?<=\d),(?=\d)", "", answer)).strip().rstrip(".").strip("$€£ ").lower()
    return re.sub(r"^(?:an?|the) (?=\S)", "", re.sub(r"^(-?\d+)\.0+$", r"\1", plain))
