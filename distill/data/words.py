"""Word error rate, after a normaliser that is stated.

English: Whisper's own normaliser (lower case, no punctuation, spelt numbers as digits, contractions written out),
without its table of British spellings, which is not part of the library. The rate is jiwer's.

Source: Radford et al. 2022, Whisper, https://arxiv.org/abs/2212.04356, appendix C.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

from distill.errors import BadInput


@cache
def _normaliser() -> Any:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    return EnglishTextNormalizer({})


def normalised(text: str) -> str:
    """As it is compared; what holds no letter and no digit is nothing."""
    told = str(_normaliser()(text)).strip()
    return told if any(letter.isalnum() for letter in told) else ""


def character_errors(texts: Sequence[str], references: Sequence[str]) -> float:
    """The same of characters, spaces among them: what tells apart models that spell hardly a word right."""
    return _errors("cer", texts, references)


def word_errors(texts: Sequence[str], references: Sequence[str]) -> float:
    """(substitutions + deletions + insertions) / words of the references, of a whole set; may exceed 1.

    References that normalise to nothing are left out; with none left, the rate is 0.

    Raises:
        BadInput: jiwer is not installed.
    """
    return _errors("wer", texts, references)


def _errors(kind: Literal["wer", "cer"], texts: Sequence[str], references: Sequence[str]) -> float:
    if find_spec("jiwer") is None:
        raise BadInput("word error rate", "needs jiwer", remedy="pip install 'distill-lab[speech]'")
    import jiwer

    pairs = [(normalised(one), normalised(other)) for one, other in zip(texts, references, strict=True)]
    pairs = [pair for pair in pairs if pair[1]]
    rate = jiwer.wer if kind == "wer" else jiwer.cer
    return float(rate([right for _, right in pairs], [said for said, _ in pairs])) if pairs else 0.0
