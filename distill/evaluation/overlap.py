"""How alike a written text and its reference are, and how a text repeats itself: numbers of texts, no model.

ROUGE, BLEU and chrF are the reference implementations' (``rouge-score``, ``sacrebleu``); exact match, what a parser
finds, and repetition are counted here.
"""

import re
from collections.abc import Sequence
from importlib.util import find_spec

from distill.errors import BadInput

SPACE = re.compile(r"\s+")


def installed() -> bool:
    """Whether ROUGE, BLEU and chrF can be counted."""
    return all(find_spec(name) is not None for name in ("sacrebleu", "rouge_score"))


def parser(pattern: str) -> re.Pattern[str]:
    """
    Args:
        pattern: a regular expression; its first group, or all of it, is the answer.

    Raises:
        BadInput: it is none.
    """
    try:
        return re.compile(pattern)
    except re.error as problem:
        raise BadInput("answer", f"is no regular expression ({problem})", value=pattern) from problem


def answer(text: str, parser: re.Pattern[str]) -> str | None:
    """What the parser finds last in a text, without commas between digits; None if nothing."""
    found = list(parser.finditer(text))
    if not found:
        return None
    last = found[-1].group(1) if parser.groups else found[-1].group(0)
    return re.sub(r"(?<=\d),(?=\d)", "", last or "").strip().rstrip(".")


def exact(text: str, reference: str) -> float:
    """1 if they are equal but for white space."""
    return float(SPACE.sub(" ", text).strip() == SPACE.sub(" ", reference).strip())


def rouge_l(texts: Sequence[str], references: Sequence[str]) -> list[float]:
    """F of the longest common subsequence of words, of each pair, in [0, 1]."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    return [scorer.score(one, text)["rougeL"].fmeasure for text, one in zip(texts, references, strict=True)]


def corpus_scores(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """BLEU and chrF of a whole set, in [0, 100], as sacrebleu counts them."""
    import sacrebleu

    told = [list(references)]
    return {
        "bleu": sacrebleu.corpus_bleu(list(texts), told).score,
        "chrf": sacrebleu.corpus_chrf(list(texts), told).score,
    }


def repeated(ids: Sequence[int], size: int = 4) -> float:
    """Share of a text's n-grams that stood in it before; 0 of a text with none."""
    grams = _grams(ids, size)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def distinct(texts: Sequence[Sequence[int]], size: int) -> float:
    """Different n-grams over all n-grams of a set of texts; NaN if there are none."""
    grams = [gram for ids in texts for gram in _grams(ids, size)]
    return len(set(grams)) / len(grams) if grams else float("nan")


def _grams(ids: Sequence[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(ids[i : i + size]) for i in range(len(ids) - size + 1)]
