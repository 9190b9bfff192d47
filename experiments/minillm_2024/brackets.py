"""Bracket strings as text: a language with an end mark, many lengths and an exact checker.

Drawn from a grammar with a fixed seed, so the corpus is the same everywhere and nothing is downloaded.
"""

import random
from functools import cached_property

from distill.data.corpus import Corpus, Tally, gather
from distill.data.text import TextData

PAIRS = {"(": ")", "[": "]", "<": ">"}
SHORTEST, LONGEST = 4, 24
ROWS = 12_000


class Brackets(TextData):
    """Well-nested strings of three kinds of brackets, 4 to 24 characters, a document each."""

    @cached_property
    def corpus(self) -> Corpus:
        tally = Tally()
        return gather("bracket strings", _strings(tally), tally)


def _strings(tally: Tally):
    chance = random.Random(2024)
    while tally.rows < ROWS:
        told = _nested(chance)
        if SHORTEST <= len(told) <= LONGEST:
            tally.rows += 1
            yield told


def _nested(chance: random.Random) -> str:
    """S -> ε | open S close S. Deeper pairs prefer the kind that follows their own, so there is something to learn."""
    out: list[str] = []
    kinds = list(PAIRS)

    def grow(kind: int, depth: int) -> None:
        while chance.random() < (0.55 if depth else 0.75) and len(out) <= LONGEST:
            own = kind if chance.random() < 0.7 else chance.randrange(3)
            out.append(kinds[own])
            grow((own + 1) % 3, depth + 1)
            out.append(PAIRS[kinds[own]])

    grow(chance.randrange(3), 0)
    return "".join(out)


def well_nested(text: str) -> bool:
    """Whether every bracket is closed by its own kind, in order, and there is one."""
    waiting: list[str] = []
    for character in text:
        if character in PAIRS:
            waiting.append(PAIRS[character])
        elif not waiting or waiting.pop() != character:
            return False
    return bool(text) and not waiting
