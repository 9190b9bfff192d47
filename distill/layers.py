"""Which student layer answers to which teacher layer: pure functions of the two counts.

Layers are decoder layers, counted from 0; the embedding is no layer (it answers to the embedding). A map is pairs
(student layer, teacher layer). What learns its map is in the losses, because what it learns is a parameter; here
stand the maps that are only arithmetic.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from distill.errors import BadInput

Pairs = tuple[tuple[int, int], ...]
LayerMap = Literal["uniform", "skip", "last", "final"] | list[list[int]]
"""The name of a function below, or pairs as ``listed`` takes them."""


def uniform(student: int, teacher: int) -> Pairs:
    """Every student layer, with the last teacher layer of its block.

    Formula: g(m) = ⌈(m + 1) T / S⌉ − 1, m = 0 … S − 1
    Source: Jiao et al. (2020). TinyBERT: Distilling BERT for Natural Language Understanding. arXiv:1909.10351

    The last answers to the last. Where S does not divide T (which the authors' code refuses) blocks differ by one.
    """
    return tuple((m, -(-(m + 1) * teacher // student) - 1) for m in range(student))


def skip(student: int, teacher: int) -> Pairs:
    """The same without the last layer, which the teacher's head speaks for: PKD-Skip.

    Formula: g(m) = ⌈(m + 1) T / S⌉ − 1, m = 0 … S − 2
    Source: Sun, Cheng, Gan, Liu (2019). Patient Knowledge Distillation for BERT Model Compression. arXiv:1908.09355
    """
    return uniform(student, teacher)[:-1]


def last(student: int, teacher: int) -> Pairs:
    """Student layers with the teacher's last ones, both without the very last: PKD-Last.

    Formula: g(m) = T − S + m, m = 0 … S − 2, where that is a layer
    Source: Sun, Cheng, Gan, Liu (2019). Patient Knowledge Distillation for BERT Model Compression. arXiv:1908.09355
    """
    return tuple((m, teacher - student + m) for m in range(student - 1) if teacher - student + m >= 0)


def final(student: int, teacher: int) -> Pairs:
    """The last layer with the last layer, and no other."""
    return ((student - 1, teacher - 1),)


NAMED: dict[str, Callable[[int, int], Pairs]] = {"uniform": uniform, "skip": skip, "last": last, "final": final}


def listed(pairs: Sequence[Sequence[int]], student: int, teacher: int) -> Pairs:
    """Pairs as a person lists them; −1 is the last layer, as in Python.

    Raises:
        BadInput: an entry is no pair, or a layer that does not exist.
    """
    made = []
    for pair in pairs:
        if len(pair) != 2:
            raise BadInput("layers", "is no pair [student layer, teacher layer]", value=list(pair))
        made.append((_place(pair[0], student, "student"), _place(pair[1], teacher, "teacher")))
    return tuple(made)


def pairs(layers: str | Sequence[Sequence[int]], student: int, teacher: int) -> Pairs:
    """The pairs of a map, by name or listed.

    Args:
        layers: the name of a function above, or pairs.
        student: S, its decoder layers.
        teacher: T.

    Raises:
        BadInput: the map has no pair for these two models, or one that does not exist.
    """
    made = NAMED[layers](student, teacher) if isinstance(layers, str) else listed(layers, student, teacher)
    if not made:
        reason = f"the map pairs no layer of a student of {student} with a teacher of {teacher}"
        raise BadInput("layers", reason, value=layers, remedy="use uniform or final, or list pairs")
    return made


def _place(layer: int, count: int, whose: str) -> int:
    if not -count <= layer < count:
        raise BadInput("layers", f"the {whose} has layers 0 to {count - 1}", value=layer)
    return layer % count
