"""A sample whose text is supervised in parts: prompt and answer, a conversation, a rationale.

The text is tokenised as one, as a model reads it. A token is supervised if it begins inside a supervised span, so one
that reaches over the border from the prompt is the prompt's. What a template spells (``<|im_end|>``) is read as the
tokens it means; what people wrote is never: see ``spells_special``.

Left out on purpose: tokenising prompt and answer apart, which gives some tokenizers a space that no model ever writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from distill.data.collate import Collate
from distill.data.encode import Marks, bytes_of_tokens
from distill.data.packing import Piece
from distill.types import Batch


@dataclass(frozen=True)
class Spelled:
    """A text and which characters of it are learnt.

    Attributes:
        text: whole, the template's marks in it where there is one.
        spans: (begin, end) characters, in order.
        templated: the marks around it are in the text; else a tokenizer's own beginning and end are put around it, and
            the end is learnt where the last span reaches it.
        task: what it teaches, where one record gives several samples; "" for one.
        weight: of each of its tokens in every loss.
    """

    text: str
    spans: tuple[tuple[int, int], ...]
    templated: bool = False
    task: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Sample:
    """A sample in tokens.

    Attributes:
        piece: inputs and the token after each, supervised or not; its bytes are those of the supervised ones.
        supervised: (n,) bool, which targets are learnt.
        spelt: (n,) int32, UTF-8 bytes that each target spells.
        task, weight: as in ``Spelled``.
    """

    piece: Piece
    supervised: np.ndarray
    spelt: np.ndarray
    task: str = ""
    weight: float = 1.0

    @property
    def tokens(self) -> int:
        """Supervised ones."""
        return int(self.supervised.sum())

    def cut(self, length: int) -> "Sample":
        """Its first ``length`` inputs."""
        learnt, spelt = self.supervised[:length], self.spelt[:length]
        inputs, targets = self.piece.inputs[:length], self.piece.targets[:length]
        piece = replace(self.piece, inputs=inputs, targets=targets, bytes=int(spelt[learnt].sum()))
        return replace(self, piece=piece, supervised=learnt, spelt=spelt)


def spells_special(text: str, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a person's text holds a special token's own words, which a template would turn into the token."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    return any(special in text for special in {*tokenizer.all_special_tokens, *added} if special)


def encoded(spelled: Spelled, tokenizer: PreTrainedTokenizerBase, domain: str = "") -> Sample:
    """A sample in tokens, at any length."""
    found = tokenizer(
        spelled.text,
        add_special_tokens=False,
        split_special_tokens=not spelled.templated,
        return_offsets_mapping=True,
        verbose=False,
    )
    offsets = np.asarray(found["offset_mapping"], dtype=np.int64).reshape(-1, 2)
    ids = np.asarray(found["input_ids"], dtype=np.int32)
    spelt = bytes_of_tokens(spelled.text, found["offset_mapping"]) * ~np.isin(ids, marks_of(tokenizer))
    learnt = np.zeros(len(ids), dtype=bool)
    for begin, end in spelled.spans:
        learnt |= (offsets[:, 0] >= begin) & (offsets[:, 0] < end) & (offsets[:, 1] > offsets[:, 0])
    if not spelled.templated:
        ids, spelt, learnt = _marked(ids, spelt, learnt, Marks.of(tokenizer), spelled)
    piece = Piece(ids[:-1], ids[1:], int((spelt * learnt)[1:].sum()), domain=domain)
    return Sample(piece, learnt[1:], spelt[1:], spelled.task, spelled.weight)


def marks_of(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids that spell nothing of a text."""
    added = [index for index, token in tokenizer.added_tokens_decoder.items() if token.special]
    return [*added, *(index for index in tokenizer.all_special_ids if isinstance(index, int))]


def _marked(
    ids: np.ndarray, spelt: np.ndarray, learnt: np.ndarray, marks: Marks, spelled: Spelled
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """With a tokenizer's own beginning and end around a plain text."""
    before = [] if marks.begin is None else [marks.begin]
    after = [] if marks.end is None else [marks.end]
    last = bool(spelled.spans) and spelled.spans[-1][1] >= len(spelled.text)
    return (
        np.asarray([*before, *ids, *after], dtype=np.int32),
        np.asarray([*(0 for _ in before), *spelt, *(0 for _ in after)], dtype=np.int32),
        np.asarray([*(False for _ in before), *learnt, *(last for _ in after)], dtype=bool),
    )


class SampleCollate:
    """Rows of samples -> a batch that supervises parts of them.

    Args:
        collate: lays tokens into rows.
    """

    def __init__(self, collate: Collate) -> None:
        self.collate = collate

    def __call__(self, rows: Sequence[Sequence[Sample]]) -> Batch:
        samples = [sample for row in rows for sample in row]
        whole = self.collate([[sample.piece for sample in row] for row in rows])
        kept = torch.from_numpy(np.concatenate([sample.supervised for sample in samples]))  # (all tokens,)
        tokens = [sample.tokens for sample in samples]
        weights = None
        if any(sample.weight != 1.0 for sample in samples):
            given = np.asarray([sample.weight for sample in samples], dtype=np.float32)
            weights = torch.from_numpy(np.repeat(given, tokens))
        return replace(
            whole,
            positions=whole.positions[kept],
            teacher_positions=whole.teacher_positions[kept],
            targets=whole.targets[kept],
            owners=whole.owners[kept],
            weights=weights,
        )
