"""Which of several texts resembles a reference most: character n-grams, which need no words and no smoothing.

Left out on purpose: anything to report; translations are measured with sacrebleu.
"""

from collections import Counter
from collections.abc import Sequence

LONGEST, RECALL = 6, 2.0


def chrf(text: str, reference: str) -> float:
    """The F-score of character n-grams, n from 1 to 6, white space left out, recall counting twice; in [0, 1].

    Formula: mean over n of precision P and recall R; F = (1 + β²) P R / (β² P + R), β = 2
    Source: Popović 2015, chrF: character n-gram F-score for automatic MT evaluation, W15-3049
    """
    text, reference = "".join(text.split()), "".join(reference.split())
    precision, recall, orders = 0.0, 0.0, 0
    for n in range(1, LONGEST + 1):
        mine, theirs = _grams(text, n), _grams(reference, n)
        if not mine or not theirs:
            continue
        common = (mine & theirs).total()
        precision, recall, orders = precision + common / mine.total(), recall + common / theirs.total(), orders + 1
    if not orders or precision + recall == 0:
        return float(text == reference)
    precision, recall, square = precision / orders, recall / orders, RECALL**2
    return (1 + square) * precision * recall / (square * precision + recall)


def closest(texts: Sequence[str], reference: str) -> int:
    """The number of the text that resembles the reference most, the first of equals."""
    return max(range(len(texts)), key=lambda number: chrf(texts[number], reference))


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))
