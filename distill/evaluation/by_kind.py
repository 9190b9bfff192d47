"""On which kinds of token a student is like its teacher: beginnings of words, their insides, numbers, marks, space."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from distill.evaluation.grouped import Grouped
from distill.evaluation.measure import Tokens
from distill.evaluation.subject import Subject
from distill.ranges import Count

KINDS = ("word", "inside", "number", "mark", "space", "special")


class ByKind(Grouped):
    """Likelihood and resemblance by what the target spells: word, inside of a word, number, mark, space, special.

    A token is a ``word`` if it begins with white space (or whatever its tokenizer writes for it) and a letter follows,
    ``inside`` if it begins with a letter or is a part of a character, ``number`` if its first visible character is a
    digit, ``mark`` if that is neither, ``space`` if it has none.

    Args:
        top: likeliest tokens of the teacher whose overlap and order are compared.

    Caveat: a word at the beginning of a line or a text has no white space in it and counts as ``inside``.
    """

    prefix = "by_kind"
    data_kinds: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(self, top: Count = 10) -> None:
        super().__init__()
        self.top = top
        self.kinds = torch.zeros(0, dtype=torch.long)  # (V,)

    def begin(self, subject: Subject) -> None:
        special = set(subject.tokenizer.all_special_ids)
        kinds = (kind(_spelled(subject, token)) for token in range(subject.vocabulary))
        self.kinds = torch.tensor([KINDS.index("special") if i in special else one for i, one in enumerate(kinds)])

    @property
    def names(self) -> Sequence[str]:
        return KINDS

    def group(self, tokens: Tokens) -> Tensor:
        return self.kinds.to(tokens.targets.device)[tokens.targets]


def kind(text: str) -> int:
    """The kind of one token by its text."""
    visible = text.strip()
    if not visible:
        return KINDS.index("space")
    if visible[0].isdigit():
        return KINDS.index("number")
    if visible[0].isalpha() or visible[0] == "\ufffd":  # a part of a character is shown as this
        return KINDS.index("word" if text[0].isspace() else "inside")
    return KINDS.index("mark")


def _spelled(subject: Subject, token: int) -> str:
    """Its text; the white space that SentencePiece drops at a beginning is put back."""
    text, raw = str(subject.tokenizer.decode([token])), subject.tokenizer.convert_ids_to_tokens(token)
    return f" {text}" if isinstance(raw, str) and raw.startswith("\u2581") and not text.startswith(" ") else text
