"""CIDEr: how much of what people say of a picture a caption says, common phrases counting little.

Left out on purpose: the Porter stemmer of the authors' code. Words are lower-case runs of letters and digits.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

WORDS = re.compile(r"\w+")
LONGEST, SIGMA = 4, 6.0


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each caption, in [0, 10].

    Formula: 10 · mean over n ≤ 4 and references r of exp(−(|c| − |r|)² / 2σ²) · (min(g_c, g_r) · g_r) / (‖g_c‖ ‖g_r‖),
        g the counts of n-grams, each times log(pictures / pictures with a reference that has it); σ = 6
    Source: Vedantam, Zitnick, Parikh 2015, CIDEr: Consensus-based Image Description Evaluation,
        https://arxiv.org/abs/1411.5726, equations 2 to 4 and section 4 (CIDEr-D).

    Args:
        captions: one of each picture.
        references: of each picture, at least one.

    Caveat: document frequencies are those of these references, so numbers of other sets, or of parts of one, do not
    compare. A phrase that every picture has counts nothing; of one picture alone, everything is 0.
    """
    seen = Counter(gram for told in references for gram in {one for text in told for one in _grams(text)})
    pictures = math.log(max(len(references), 1))
    weight = {gram: pictures - math.log(count) for gram, count in seen.items()}
    return [_one(text, told, weight, pictures) for text, told in zip(captions, references, strict=True)]


def _one(caption: str, references: Sequence[str], weight: dict[tuple[str, ...], float], rarest: float) -> float:
    own, size = _grams(caption), len(WORDS.findall(caption.lower()))
    total = 0.0
    for reference in references:
        told = _grams(reference)
        gap = size - len(WORDS.findall(reference.lower()))
        for n in range(1, LONGEST + 1):
            mine, theirs = (
                {g: c * weight.get(g, rarest) for g, c in side.items() if len(g) == n} for side in (own, told)
            )
            both = sum(min(value, theirs[gram]) * theirs[gram] for gram, value in mine.items() if gram in theirs)
            norm = math.sqrt(sum(v * v for v in mine.values()) * sum(v * v for v in theirs.values()))
            total += math.exp(-(gap**2) / (2 * SIGMA**2)) * both / norm if norm else 0.0
    return 10 * total / (LONGEST * len(references))


def _grams(text: str) -> Counter[tuple[str, ...]]:
    words = WORDS.findall(text.lower())
    return Counter(tuple(words[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(words) - n + 1))
