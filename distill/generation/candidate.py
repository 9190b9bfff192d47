"""What is asked, and what came back."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Prompt:
    """One thing to be written after.

    Attributes:
        text: as the author is shown it.
        question: what a student will be shown; the same, unless the author was asked in other words.
        reference: what somebody wrote or answered before, "" if nobody did.
        domain: where it is from.
        extra: other fields that go into the row (an answer that was given).
    """

    text: str
    question: str
    reference: str = ""
    domain: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """sha256 of all of it: a row's name."""
        told = json.dumps([self.text, self.question, self.reference, sorted(self.extra.items())], ensure_ascii=False)
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class Candidate:
    """A text after a prompt.

    Attributes:
        key: of its prompt; ``number`` counts the prompt's candidates.
        text: what was written.
        answer: what could be read out of it, "" if nothing was looked for or found.
        tokens, nats, ended: as in ``teachers.author.Writing``.
    """

    key: str
    number: int
    text: str
    answer: str
    tokens: int
    nats: float
    ended: bool
    question: str
    reference: str
    domain: str
    asked: str

    @property
    def nats_per_token(self) -> float:
        return self.nats / self.tokens if self.tokens else float("nan")

    def plain(self) -> dict[str, Any]:
        return asdict(self)
