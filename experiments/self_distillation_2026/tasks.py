"""Tasks on strings of four letters: eight old ones that the student knows, and a new one that it is to learn.

Each moves every letter by its own number of places in the alphabet. Drawn with fixed seeds, so the questions are the
same everywhere and nothing is downloaded.
"""

import random
from collections.abc import Iterator

from distill.data.corpus import Tally
from distill.data.questions.question import Question, Reader
from distill.ranges import Count, Natural

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LENGTH = 4
OLD = {"s": 1, "t": 3, "u": 7, "v": 11, "w": 25, "x": 20, "y": 16, "z": 13}
"""Places that a task moves a letter by, under the letter that its questions begin with."""
NEW, PLACES = "r", 5


def drawn(chance: random.Random) -> str:
    return "".join(chance.choices(LETTERS, k=LENGTH))


def asked(task: str, text: str) -> str:
    """``r:abcd=``"""
    return f"{task}:{text}="


def moved(text: str, places: int) -> str:
    """``abcd`` by one: ``bcde``."""
    return "".join(LETTERS[(LETTERS.index(one) + places) % len(LETTERS)] for one in text)


def known(chance: random.Random) -> tuple[str, str]:
    """A question of an old task and its answer."""
    task, text = chance.choice(list(OLD)), drawn(chance)
    return asked(task, text), moved(text, OLD[task])


class Moved(Reader):
    """The new task: ``r:abcd=`` is answered by ``fghi``.

    Args:
        count: questions; equal ones are one.
        seed: of the draw.
    """

    source = "letters moved by five"

    def __init__(self, count: Count = 4000, seed: Natural = 0) -> None:
        self.count, self.seed = count, seed

    def read(self, tally: Tally) -> Iterator[Question]:
        chance = random.Random(self.seed)
        for _ in range(self.count):
            tally.rows += 1
            text = drawn(chance)
            yield Question(asked(NEW, text), moved(text, PLACES))
