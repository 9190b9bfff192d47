"""easy-VQA as the package ``easy-vqa`` carries it: 5,000 pictures of one shape each, 48,248 questions.

The package is found and never imported. What a picture shows is not told by it, but follows from its questions: their
answers name shape and colour; the description made of them is what a teacher without eyes reads.
"""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

from distill.data.corpus import Tally
from distill.data.source import Item, Source
from distill.errors import BadInput

SHAPES = ("circle", "rectangle", "triangle")
COLOURS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")


class EasyVQA(Source):
    """Questions of both parts of the set, in their order.

    Source: Zhou 2019, easy-VQA, https://github.com/vzhou842/easy-VQA (MIT)

    Args:
        pictures: of each part at most; None takes all.

    Raises:
        BadInput: the package is not installed.
    """

    def __init__(self, pictures: int | None = None) -> None:
        self.pictures = pictures
        spec = importlib.util.find_spec("easy_vqa")
        if spec is None or not spec.submodule_search_locations:
            reason = "the package easy-vqa is not installed"
            raise BadInput("data.source", reason, remedy="pip install --no-deps easy-vqa==1.0")
        self.home = Path(next(iter(spec.submodule_search_locations))) / "data"

    @property
    def name(self) -> str:
        return "easy-VQA 1.0"

    def items(self, tally: Tally) -> Iterator[Item]:
        for part in ("train", "test"):
            rows = json.loads((self.home / part / "questions.json").read_text(encoding="utf-8"))
            shown = _descriptions(rows)
            for question, answer, number in rows:
                if self.pictures is not None and number >= self.pictures:
                    continue
                tally.rows += 1
                picture = self.home / part / "images" / f"{number}.png"
                texts = {"question": question, "text": answer, "kind": kind(question, answer)}
                texts["description"] = shown[number]
                yield Item(f"{part}/{number}.png", picture, texts, part)


def kind(question: str, answer: str) -> str:
    """What is asked for: the shape, the colour, or whether something is there."""
    if answer in ("yes", "no"):
        return "not there" if {"not", "no"} & set(question.split()) else "there"
    return "shape" if answer in SHAPES else "colour"


def _descriptions(rows: list[list]) -> dict[int, str]:
    """By picture: "a blue rectangle", as far as its questions tell."""
    told: dict[int, dict[str, str]] = {number: {} for _, _, number in rows}
    for question, answer, number in rows:
        if kind(question, answer) in ("there", "not there"):
            if (answer == "yes") == (kind(question, answer) == "there"):
                told[number] |= {_role(word): word for word in question.rstrip("?").split() if _role(word)}
        else:
            told[number][_role(answer)] = answer
    return {one: f"a {seen.get('colour', 'coloured')} {seen.get('shape', 'shape')}" for one, seen in told.items()}


def _role(word: str) -> str:
    return "shape" if word in SHAPES else "colour" if word in COLOURS else ""
