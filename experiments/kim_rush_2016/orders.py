"""Bags of symbols and their orders: a task with many right answers, of which people gave one at random.

A source is a bag of symbols; six pairs of the alphabet are ordered (the first must stand before the second), and every
order of the bag that keeps to them is right. The target is one of the right orders, drawn evenly. A model that averages
over orders writes a wrong one; a model that settles on one writes it.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from distill.data.corpus import Tally
from distill.data.encode import Marks
from distill.data.records import Record
from distill.data.translation import TranslationData
from distill.data.writing import written
from distill.evaluation.measure import Measured, SampleMeasure, Worked
from distill.evaluation.subject import Subject

SYMBOLS = "abcdefghijkl"
BEFORE = ("ab", "cd", "ef", "gh", "ij", "kl")
"""Of each pair the first symbol stands before the second, if both are there."""
SIZE = 6
BAGS = 8_000
SEED = 2016


def right(source: str, target: str) -> bool:
    """Whether a target is an order of the source's symbols that keeps to every pair."""
    symbols, order = source.split(), target.split()
    place = {symbol: number for number, symbol in enumerate(order)}
    pairs = [(first, second) for first, second in BEFORE if first in place and second in place]
    return sorted(symbols) == sorted(order) and all(place[first] < place[second] for first, second in pairs)


def drawn(draws: random.Random) -> tuple[str, str]:
    """A bag, shown in a shuffled order, and one right order, each as likely as any other."""
    bag = draws.sample(SYMBOLS, SIZE)
    order = list(bag)
    draws.shuffle(order)
    for first, second in BEFORE:  # pairs share no symbol, so swapping them keeps all right orders equally likely
        if first in bag and second in bag and order.index(first) > order.index(second):
            i, j = order.index(first), order.index(second)
            order[i], order[j] = order[j], order[i]
    return " ".join(bag), " ".join(order)


class Orders(TranslationData):
    """Bags of six of twelve symbols, and right orders of them, made anew from one seed.

    The keys are those of ``TranslationData``; ``path`` is not looked at.
    """

    kind: ClassVar[str] = "translation"

    def records(self, tally: Tally) -> Iterator[Record]:
        draws = random.Random(SEED)
        for number in range(BAGS):
            tally.rows += 1
            source, target = drawn(draws)
            yield Record(f"bag {number}", {self.source_field: source, self.target_field: target})


class RightOrders(SampleMeasure):
    """How many of the sequences that a model writes are right, greedily and by beam search.

    Formula: valid_rate = mean [the sequence is one of the right orders of its bag]; beam_gain = valid_rate of a beam
        of ``beams`` minus that of greedy search
    Source: Kim and Rush 2016, https://arxiv.org/abs/1606.07947, section 5 (beam search gains little after Seq-KD)

    Args:
        samples: test bags, at most.
        beams: of the beam search.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"translation"})

    def __init__(self, samples: int = 400, beams: int = 5) -> None:
        self.samples, self.beams = samples, beams

    def measure(self, subjects: Sequence[Subject], data: Any) -> Worked:
        found: dict[str, list[Measured]] = {}
        for subject in subjects:
            greedy, beam = (self._rate(subject, data, beams) for beams in (1, self.beams))
            count = len(data.rows["test"][: self.samples])
            found[subject.name] = [
                Measured("valid_rate", greedy, "fraction", count),
                Measured("valid_rate/beam", beam, "fraction", count),
                Measured("beam_gain", beam - greedy, "fraction", count),
            ]
        return Worked(found, [])

    def _rate(self, subject: Subject, data: TranslationData, beams: int) -> float:
        rows = data.rows["test"][: self.samples]
        padding = Marks.of(data.prepare()).padding
        told = written(subject.model, [row.source for row in rows], data.searched(beams), padding)
        texts = [str(subject.tokenizer.decode(one[0], skip_special_tokens=True)) for one in told]
        return sum(right(row.fields[0], text) for row, text in zip(rows, texts, strict=True)) / len(rows)


def orders_of(source: str) -> Mapping[str, bool]:
    """Every order of a bag and whether it is right: for the tests."""
    return {" ".join(one): right(source, " ".join(one)) for one in itertools.permutations(source.split())}
