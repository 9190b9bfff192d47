"""Beginnings of held-out documents, for continuations side by side: what a reader compares with the eye."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from distill.data.corpus import Document
from distill.data.encode import Marks


@dataclass(frozen=True)
class Prompt:
    """The beginning of a document, and how it really goes on.

    Attributes:
        ids: of the beginning, with the mark that documents begin with: what a model is shown.
        text: the same without the mark.
        continuation: the text that follows, about as many tokens.
    """

    ids: tuple[int, ...]
    text: str
    continuation: str


def prompts(
    documents: Sequence[Document], tokenizer: PreTrainedTokenizerBase, marks: Marks, tokens: int, count: int
) -> list[Prompt]:
    """The first ``count`` documents of at least ``2 * tokens`` tokens; shorter ones, halved, if too few."""
    long: list[Prompt] = []
    short: list[Prompt] = []
    for document in documents:
        if len(long) == count:
            break
        found = tokenizer(
            document.text,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
            verbose=False,
        )
        ids, offsets = found["input_ids"], found["offset_mapping"]
        size = min(tokens, len(ids) // 2)
        if size > 0:
            (long if size == tokens else short).append(_prompt(document.text, ids, offsets, size, marks))
    return (long + short)[:count]


def _prompt(text: str, ids: list[int], offsets: list[tuple[int, int]], size: int, marks: Marks) -> Prompt:
    """Cut between two characters: a byte-level token may end inside one."""
    while size < len(ids) and offsets[size][0] < offsets[size - 1][1]:
        size += 1
    middle = offsets[size - 1][1]
    end = offsets[min(2 * size, len(ids)) - 1][1]
    begin = () if marks.begin is None else (marks.begin,)
    return Prompt((*begin, *ids[:size]), text[:middle], text[middle:end])
