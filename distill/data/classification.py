"""Texts with labels: what a classifier learns from.

    data = ClassificationData(path="reviews.jsonl", text_field="review", label_field="stars")
    data = ClassificationData(path="mails/")        # a folder a label: mails/spam/*.txt, mails/ham/*.txt

The labels are the different values found, in their order; the vocabulary of every loss is the label set. Left out on
purpose: several labels a text, numbers to regress, pairs of texts.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from distill.data.corpus import EMPTY, Tally
from distill.data.encode import Marks
from distill.data.examples import Example, ExampleData, Place, Portion, padded
from distill.data.records import Record
from distill.data.tokenizer import TrainedBPE, fingerprint
from distill.errors import BadInput
from distill.folders import load_tokenizer
from distill.ranges import Count, Fraction, Natural, Share
from distill.types import Batch, Family, Task


class ClassificationData(ExampleData):
    """Texts with labels, split by the hash of the text.

    Args:
        path: a .jsonl or .parquet; or a folder that holds one folder of .txt for each label.
        name: a data set of the hub.
        text_field: the key or column of the text.
        label_field: of the label: a word or a whole number.
        subset, split: of the hub's data set.
        tokenizer: a recipe to train one on the training texts; None takes the one that ``prepare`` is given.
        share: fraction of the training texts that is trained on.
        validation, test: fractions of all texts.
        sequence_length: tokens of a text at most, marks included; longer ones are cut, and counted.
        batch_size: texts of a micro-batch on one device.
        seed: of the order of training texts.
        workers: processes that make batches.
        evaluation_tokens: supervised ones of validation and of test each, to the end of an example; None takes all.
        cache: a folder for the trained tokenizer.
    """

    kind: ClassVar[str] = "classification"
    family: Family = "classification"

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        text_field: str = "text",
        label_field: str = "label",
        subset: str | None = None,
        split: str = "train",
        tokenizer: TrainedBPE | None = None,
        share: Share = 1.0,
        validation: Fraction = 0.1,
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
        self.text_field, self.label_field = text_field, label_field
        self._teacher: PreTrainedTokenizerBase | None = None

    # -------------------------------------------------------------------------------------------------------- reading

    def records(self, tally: Tally) -> Iterator[Record]:
        folder = None if self.place.path is None else Path(self.place.path).expanduser()
        labels = sorted({file.parent for file in folder.rglob("*.txt")}) if folder and folder.is_dir() else []
        return self._of_folders(labels, tally) if labels else super().records(tally)

    def _of_folders(self, folders: Sequence[Path], tally: Tally) -> Iterator[Record]:
        for folder in folders:
            for file in sorted(folder.glob("*.txt")):
                tally.rows += 1
                try:
                    text = file.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    raise BadInput(str(file), "is not UTF-8", remedy="save the file as UTF-8") from None
                yield Record(str(file), {self.text_field: text, self.label_field: folder.name})

    def fields(self, record: Record) -> tuple[str, ...] | str:
        label = record.value(self.label_field)
        if label is None or isinstance(label, (float, list, dict)):
            raise BadInput(record.place, f"'{self.label_field}' is no word and no whole number", remedy="mend the row")
        text = record.text(self.text_field).strip()
        return (text, str(label)) if text else EMPTY

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All labels of the corpus; whole numbers in their own order."""
        found = {_label(document.text) for document in self.corpus.documents}
        numbers = all(label.lstrip("-").isdigit() for label in found)
        labels = tuple(sorted(found, key=int) if numbers else sorted(found))
        if len(labels) < 2:
            reason = "all texts have the same label"
            raise BadInput(self.place.told, reason, value=next(iter(found)), remedy="two are needed")
        return labels

    def example(self, fields: tuple[str, ...], tokenizer: PreTrainedTokenizerBase) -> Example:
        text, label = fields
        number = self.labels.index(label)
        source, cut = framed(text, tokenizer, self.sequence_length)
        digest = hashlib.sha256(source.tobytes() + str(number).encode()).hexdigest()
        return Example(source, np.asarray([number]), digest, 0, fields, cut)

    def told(self) -> list[object]:
        theirs = None if self._teacher is None else fingerprint(self._teacher)
        return [self.kind, self.labels, theirs]

    @property
    def task(self) -> Task:
        return Task(self.family, self.labels)

    def meet(self, teacher: str, place: str) -> None:
        """A teacher with a tokenizer of its own reads the same texts in its own tokens; its labels must be these."""
        super().meet(teacher, place)
        theirs = load_tokenizer(teacher)
        self._teacher = None if fingerprint(theirs) == fingerprint(self.prepare()) else theirs
        self.teacher_differs = self._teacher is not None

    # -------------------------------------------------------------------------------------------------------- batches

    @property
    def collate(self) -> Callable[[Sequence[Example]], Batch]:
        return partial(_batch, self.prepare(), self._teacher, self.sequence_length)


def framed(text: str, tokenizer: PreTrainedTokenizerBase, length: int) -> tuple[np.ndarray, bool]:
    """(ids of a text between the marks of the tokenizer, whether it was cut).

    A tokenizer that puts none of its own gets its beginning and end mark: an encoder pools the first position.
    """
    ids = list(tokenizer(text, split_special_tokens=True, verbose=False)["input_ids"])  # type: ignore[arg-type]
    special = set(tokenizer.all_special_ids)
    if not ids or ids[0] not in special:
        marks = Marks.of(tokenizer)
        ends = (marks.begin if marks.begin is not None else marks.end, marks.end)
        ids = [mark for mark in ends[:1] if mark is not None] + ids + [mark for mark in ends[1:] if mark is not None]
    last = ids[-1:] if ids[-1] in special else []
    cut = len(ids) > length
    return np.asarray(ids[: length - len(last)] + last if cut else ids, dtype=np.int64), cut


def inputs_of(sources: Sequence[np.ndarray], padding: int) -> dict[str, Any]:
    ids, mask = padded(sources, padding)
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def _batch(
    tokenizer: PreTrainedTokenizerBase,
    teacher: PreTrainedTokenizerBase | None,
    length: int,
    rows: Sequence[Example],
) -> Batch:
    inputs = theirs = inputs_of([row.source for row in rows], Marks.of(tokenizer).padding)
    if teacher is not None:
        read = [framed(row.fields[0], teacher, length)[0] for row in rows]
        theirs = inputs_of(read, Marks.of(teacher).padding)
    owners = torch.arange(len(rows))
    return Batch(
        inputs=inputs,
        teacher_inputs=theirs,
        positions=owners * inputs["input_ids"].shape[1],
        teacher_positions=owners * theirs["input_ids"].shape[1],
        targets=torch.as_tensor([int(row.target[0]) for row in rows]),
        owners=owners,
        samples=tuple(row.hash for row in rows),
        causal=False,
    )


def _label(text: str) -> str:
    return json.loads(text)[-1]
