"""Pairs of texts that mean the same: what an encoder learns to embed.

    data = SentenceData(path="pairs.jsonl", anchor_field="question", positive_field="answer")

A batch shows both texts of every pair, each a sample whose supervised positions are all of its tokens; what is compared
is the mean of their states. A text counts the same whatever its length (``Batch.weights``). Left out on purpose: scores
of how alike two texts are, pairs that are known to be wrong (the other pairs of a batch serve for those), and a teacher
of another tokenizer.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from distill.data.classification import framed, inputs_of
from distill.data.encode import Marks
from distill.data.examples import Example, ExampleData, Place, Portion, texts_of
from distill.data.records import Record
from distill.data.tokenizer import TrainedBPE
from distill.ranges import Count, Fraction, Natural, Share
from distill.types import Batch, Family

PARTNERS = "partners"
"""Of ``Batch.labels``: (B,) int64, the index of the text that a text belongs with."""


class SentenceData(ExampleData):
    """Pairs of texts, split by the hash of the first.

    Args:
        path: a .jsonl or .parquet.
        name: a data set of the hub.
        anchor_field, positive_field: keys or columns.
        subset, split: of the hub's data set.
        tokenizer: a recipe to train one on the training texts; None takes the one that ``prepare`` is given.
        share: fraction of the training pairs that is trained on.
        validation, test: fractions of all pairs.
        sequence_length: tokens of a text at most, marks included; longer ones are cut, and counted.
        batch_size: pairs of a micro-batch on one device.
        seed: of the order of training pairs.
        workers: processes that make batches.
        evaluation_tokens: supervised ones of validation and of test each, to the end of a pair; None takes all.
        cache: a folder for the trained tokenizer.
    """

    kind: ClassVar[str] = "sentences"
    family: Family = "encoder"

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        anchor_field: str = "anchor",
        positive_field: str = "positive",
        subset: str | None = None,
        split: str = "train",
        tokenizer: TrainedBPE | None = None,
        share: Share = 1.0,
        validation: Fraction = 0.05,
        test: Fraction = 0.1,
        sequence_length: Count = 64,
        batch_size: Count = 32,
        seed: Natural = 0,
        workers: Natural = 0,
        evaluation_tokens: Count | None = None,
        cache: str | None = None,
    ) -> None:
        portion = Portion(share, validation, test, sequence_length, batch_size, seed, workers, evaluation_tokens)
        super().__init__(Place(path, name, subset, split), portion, tokenizer, cache)
        self.anchor_field, self.positive_field = anchor_field, positive_field

    def fields(self, record: Record) -> tuple[str, ...] | str:
        return texts_of(record, self.anchor_field, self.positive_field)

    def example(self, fields: tuple[str, ...], tokenizer: PreTrainedTokenizerBase) -> Example:
        (first, cut), (second, too) = (framed(text, tokenizer, self.sequence_length) for text in fields)
        digest = hashlib.sha256(first.tobytes() + b"|" + second.tobytes()).hexdigest()
        return Example(first, second, digest, 0, fields, cut or too)

    def told(self) -> list[object]:
        return [self.kind]

    @property
    def collate(self) -> Callable[[Sequence[Example]], Batch]:
        tokenizer, rows = self.prepare(), self.rows["train"]
        usual = sum(len(row.source) + len(row.target) for row in rows) / (2 * len(rows))
        return partial(_batch, Marks.of(tokenizer).padding, usual)


def _batch(padding: int, usual: float, rows: Sequence[Example]) -> Batch:
    texts = [*(row.source for row in rows), *(row.target for row in rows)]
    inputs = inputs_of(texts, padding)
    positions = inputs["attention_mask"].reshape(-1).nonzero()[:, 0]
    width, lengths = inputs["input_ids"].shape[1], torch.as_tensor([len(text) for text in texts])
    owners = positions // width
    half = len(rows)
    return Batch(
        inputs=inputs,
        teacher_inputs=inputs,
        positions=positions,
        teacher_positions=positions,
        targets=inputs["input_ids"].reshape(-1)[positions],
        owners=owners,
        samples=tuple(hashlib.sha256(np.ascontiguousarray(text).tobytes()).hexdigest() for text in texts),
        causal=False,
        labels={PARTNERS: (torch.arange(2 * half) + half) % (2 * half)},
        weights=(usual / lengths)[owners].float(),
    )
