"""By how often a text says what it has said already."""

from collections.abc import Sequence

from distill.generation.candidate import Candidate
from distill.generation.filters.filter import Filter
from distill.ranges import Count, Fraction


class Repetition(Filter):
    """Texts that do not go round in circles.

    Formula: (n-grams of words − different ones) / n-grams ≤ most
    Source: Rae et al. (2021). Scaling Language Models: Gopher. arXiv:2112.11446, appendix A.1.1

    Args:
        words: n.
        most: share of repeated n-grams that is borne.
    """

    def __init__(self, words: Count = 4, most: Fraction = 0.2) -> None:
        self.words, self.most = words, most

    def keeps(self, group: Sequence[Candidate]) -> list[bool]:
        return [repeated(one.text.split(), self.words) <= self.most for one in group]


def repeated(words: Sequence[str], size: int) -> float:
    """Share of n-grams that stood there before; 0 of a text that has none."""
    grams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
