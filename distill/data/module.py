"""What every data module is: samples in, batches out, one file a modality. docs/modalities.md says how to write one.

A batch is a pure function of (seed, micro-step); a sample's split depends on its content alone; what is dropped is
counted. The step, the objectives, the stores and the reports know nothing else of a modality.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, ClassVar, Protocol

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerBase

from distill.data.batches import Batches
from distill.data.facts import Facts
from distill.data.prepared import SplitName
from distill.data.prompts import Prompt
from distill.data.stream import Stream
from distill.errors import BadInput
from distill.families import labels_of
from distill.folders import load_config
from distill.types import Batch, Family, Task


class Saved(Protocol):
    """A tokenizer or a processor: it is written beside every subject's weights."""

    def save_pretrained(self, save_directory: Any) -> Any: ...


def check_labels(folder: str, labels: tuple[str, ...], place: str) -> None:
    """Refuse a classifier whose labels are others, or in another order, than the data's.

    Raises:
        BadInput: with the first that differs.
    """
    if not labels:
        return
    theirs = labels_of(load_config(folder))
    if theirs != labels:
        both = zip_longest(theirs, labels)
        number, pair = next((number, pair) for number, pair in enumerate(both) if pair[0] != pair[1])
        reason = f"its label {number} is {pair[0]}, the data's is {pair[1]}"
        raise BadInput(place, reason, value=folder, remedy="use a teacher that was trained on these labels")


class DataModule(pl.LightningDataModule, ABC):
    """Samples of one modality, split by content, as batches.

    Attributes:
        kind: what its numbers are of; a measure says for which kinds it is made.
        templated: it goes through a chat template, which both models then have to share.
        family: of the models that learn from it; a key of the same name wins.
        packing: several samples share a row, and must not see each other.
        sequence_length: tokens of a sample at most; what a model must have positions for.
        teacher_rate: tokens of the teacher's for one of the student's.
        teacher_differs: the teacher it met reads something else than the student, with the same targets.
        rows: by split, anything with a length that gives what ``collate`` takes; filled by ``prepare``.
    """

    kind: ClassVar[str]
    templated: ClassVar[bool] = False
    family: Family = "causal"
    packing: bool = False
    teacher_differs: bool = False
    sequence_length: int
    batch_size: int
    seed: int
    workers: int = 0
    start: int = 0  # the micro-step at which Lightning's own call of ``train_dataloader`` begins
    rows: Mapping[SplitName, Sequence[Any]]

    # --------------------------------------------------------------------------------- what a modality has to write

    @abstractmethod
    def prepare(self, tokenizer: PreTrainedTokenizerBase | None = None) -> PreTrainedTokenizerBase:
        """Read, split and encode, once. The tokenizer spells the targets: a model's own, or the recipe's for None."""

    @property
    @abstractmethod
    def collate(self) -> Callable[[Sequence[Any]], Batch]:
        """Rows -> a batch, with positions and targets chosen: a pure function of them, that a worker can be sent."""

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """Samples, tokens, and what was dropped and why."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """sha256 of everything that decides what the samples are, not of how they are shown."""

    @property
    def task(self) -> Task:
        """What it wants of a model; known once it is prepared."""
        return Task(self.family)

    @property
    def processor(self) -> Saved:
        """What turns raw samples into inputs: the tokenizer, unless there is more to it."""
        return self.prepare()

    def meet(self, teacher: str, place: str) -> None:
        """See the folder of a teacher that will read the batches: for data whose teacher reads something else than the
        student (another tokenizer, another resolution, text instead of a picture), and to compare labels.

        Args:
            teacher: its folder or hub id.
            place: its key, for messages.

        Raises:
            BadInput: the two do not predict the same.
        """
        check_labels(teacher, self.task.labels, place)

    @property
    def teacher_rate(self) -> float:
        return 1.0

    @property
    def ends(self) -> frozenset[int]:
        """Marks with which what is learnt ends, beside the tokenizer's own end: those of a template's turns."""
        return frozenset()

    def prompts(self, count: int) -> list[Prompt]:
        """Beginnings of test documents, of text alone."""
        return []

    # ------------------------------------------------------------------------------------------------------ batches

    def stream(self, start: int = 0, rank: int = 0, world_size: int = 1) -> DataLoader[Batch]:
        """The endless training stream from micro-step ``start`` on; equal for every number of workers."""
        self.prepare()
        if self.workers:
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else each forked worker warns of its threads
        rows: Any = self.rows["train"]
        data: Dataset[Batch] = rows  # torch types a loader by what it reads
        return DataLoader(
            data,
            batch_sampler=self._sampler(start, rank, world_size),
            collate_fn=self.collate,
            num_workers=self.workers,
            generator=torch.Generator().manual_seed(self.seed),  # else iterating would draw from the run's generator
        )

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """The training micro-batch ``step`` alone: the same one that the stream yields."""
        self.prepare()
        return self.collate([self.rows["train"][i] for i in self._sampler(0, rank, world_size).at(step)])

    def train_batches(self, rank: int = 0, world_size: int = 1) -> Batches:
        """Every training row once, in a fixed order: for a teacher that is asked once, not for training."""
        return self._batches("train", rank, world_size)

    def validation_batches(self, rank: int = 0, world_size: int = 1) -> Batches:
        """What selects the best point, in a fixed order."""
        return self._batches("validation", rank, world_size)

    def test_batches(self, rank: int = 0, world_size: int = 1) -> Batches:
        """What is reported, in a fixed order."""
        return self._batches("test", rank, world_size)

    def _batches(self, split: SplitName, rank: int, world_size: int) -> Batches:
        self.prepare()
        return Batches(self.rows[split], self.collate, self.batch_size, rank, world_size)

    def _sampler(self, start: int, rank: int, world_size: int) -> Stream:
        return Stream(len(self.rows["train"]), self.batch_size, self.seed, start, rank, world_size)

    # ---------------------------------------------------------------------------------------------------- Lightning

    def setup(self, stage: str) -> None:
        self.prepare()

    def train_dataloader(self) -> DataLoader[Batch]:
        return self.stream(self.start, *self._place())

    def val_dataloader(self) -> Batches:
        return self.validation_batches(*self._place())

    def test_dataloader(self) -> Batches:
        return self.test_batches(*self._place())

    def _place(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
