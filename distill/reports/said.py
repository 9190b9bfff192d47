"""What models wrote or said of a text in a run, read from its ``samples.jsonl``: continuations, passages word by word,
questions with reasons. A line that is none of them is one of the run's problems.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]{8,200000}={0,2}")


@dataclass(frozen=True)
class Sample:
    """What ``subject`` wrote after ``prompt``, or said of the picture (a ``data:`` address; empty for none)."""

    subject: str
    prompt: str
    text: str
    picture: str = ""


@dataclass(frozen=True)
class Reasoned:
    """A test question answered by ``subject``: its reasons and answer, the given ones, and the verdict on the answer.

    Attributes:
        apart: reasons and answer were asked for apart.
    """

    subject: str
    question: str
    text: str
    answer: str
    verdict: str
    reference: str
    reasons: str
    apart: bool


@dataclass(frozen=True)
class Word:
    """A held-out token: its text, KL(p ‖ q) there, the subject's probability of it, and what both sides think likeliest
    ((text, probability), …)."""

    text: str
    divergence: float
    chance: float
    teacher: tuple[tuple[str, float], ...]
    own: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Passage:
    """Some held-out text, token by token, as ``subject`` and its teacher see it."""

    subject: str
    sample: int
    words: tuple[Word, ...]


def said(path: Path, problems: list[str]) -> tuple[tuple[Sample, ...], tuple[Passage, ...], tuple[Reasoned, ...]]:
    """Continuations, passages, and questions with reasons; lines of another kind are for other readers."""
    samples: list[Sample] = []
    passages: list[Passage] = []
    reasoned: list[Reasoned] = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True) if path.is_file() else (), start=1):
        if not line.endswith(b"\n"):
            break  # a killed writer
        try:
            told = json.loads(line)
            if "tokens" in told:
                passages.append(Passage(str(told["subject"]), int(told["sample"]), tuple(map(_word, told["tokens"]))))
            elif told.get("kind") == "rationale":
                reasoned.append(_reasoned(told))
            elif "sample" not in told:
                samples.append(_sample(told))
        except (ValueError, TypeError, KeyError) as problem:
            problems.append(f"{path}:{number}: not a sample ({problem})")
    return tuple(samples), tuple(passages), tuple(reasoned)


def _sample(told: Mapping[str, Any]) -> Sample:
    return Sample(str(told["subject"]), str(told["prompt"]), str(told["text"]), _picture(told))


def _reasoned(told: Mapping[str, Any]) -> Reasoned:
    names = ("subject", "prompt", "text", "answer", "verdict", "reference", "reasons")
    return Reasoned(*(str(told[name]) for name in names), apart=bool(told["apart"]))


def _word(told: Mapping[str, Any]) -> Word:
    sides = [tuple((str(text), float(chance)) for text, chance in told[side]) for side in ("teacher", "own")]
    return Word(str(told["text"]), float(told["kl"]), float(told["chance"]), *sides)


def _picture(told: Mapping[str, Any]) -> str:
    """Nothing but a PNG that lies in the page itself is ever shown."""
    found = str(told.get("picture", ""))
    return found if PICTURE.fullmatch(found) else ""
