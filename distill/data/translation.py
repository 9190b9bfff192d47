"""Sources and their translations: what an encoder-decoder learns from.

    data = TranslationData(path="pairs.jsonl", source_field="en", target_field="de")

Any pairs of texts: translations, summaries, questions and answers. What is learned from may be the people's own targets
or what a teacher writes of the same sources (sequence-level distillation): ``meet`` lets it write once, and keeps it.

Left out on purpose: several references, and sources without a target (let a black box write them first).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from distill.data.classification import framed, inputs_of
from distill.data.corpus import Tally
from distill.data.encode import Marks
from distill.data.examples import Example, ExampleData, Place, Portion, padded, texts_of
from distill.data.keep import kept
from distill.data.records import Record, of_files
from distill.data.similarity import closest
from distill.data.tokenizer import TrainedBPE, fingerprint
from distill.data.writing import search, written
from distill.errors import BadInput
from distill.folders import load_model
from distill.ranges import Count, Fraction, Natural, Share
from distill.storage import sha256
from distill.types import Batch, Family, Task

LONG = "too_long"
Targets = Literal["human", "teacher", "interpolated"]


class TranslationData(ExampleData):
    """Pairs of texts, split by the hash of the source.

    Source of ``targets``: Kim and Rush 2016, Sequence-Level Knowledge Distillation, https://arxiv.org/abs/1606.07947:
        ``teacher`` is section 3.2 (the likeliest of the teacher's beam), ``interpolated`` section 3.3 (the candidate of
        the beam that resembles the people's target most; there by smoothed BLEU, here by chrF).

    Args:
        path: a .jsonl or .parquet.
        name: a data set of the hub.
        source_field, target_field: keys or columns.
        subset, split: of the hub's data set.
        targets: whose targets are trained on; validation and test keep the people's.
        beams: of the teacher's search; 1 is greedy.
        more: a .jsonl of further training pairs with the same fields, as a black box wrote them; None: there are none.
        tokenizer: a recipe to train one on the training texts; None takes the one that ``prepare`` is given.
        share: fraction of the training pairs that is trained on.
        validation, test: fractions of all pairs.
        sequence_length: tokens of a source, and of a target, at most, marks included; longer pairs are dropped.
        batch_size: pairs of a micro-batch on one device.
        seed: of the order of training pairs.
        workers: processes that make batches.
        evaluation_tokens: supervised ones of validation and of test each, to the end of an example; None takes all.
        cache: a folder for the trained tokenizer and for what a teacher wrote.
        start: the id that a decoder begins with; None: the beginning mark, else the padding.
    """

    kind: ClassVar[str] = "translation"
    family: Family = "seq2seq"

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        source_field: str = "source",
        target_field: str = "target",
        subset: str | None = None,
        split: str = "train",
        targets: Targets = "human",
        beams: Count = 5,
        more: str | None = None,
        tokenizer: TrainedBPE | None = None,
        share: Share = 1.0,
        validation: Fraction = 0.05,
        test: Fraction = 0.1,
        sequence_length: Count = 96,
        batch_size: Count = 32,
        seed: Natural = 0,
        workers: Natural = 0,
        evaluation_tokens: Count | None = None,
        cache: str | None = None,
        start: Natural | None = None,
    ) -> None:
        portion = Portion(share, validation, test, sequence_length, batch_size, seed, workers, evaluation_tokens)
        super().__init__(Place(path, name, subset, split), portion, tokenizer, cache)
        self.source_field, self.target_field = source_field, target_field
        self.targets, self.beams, self.more, self.given_start = targets, beams, more, start
        self._written: str | None = None  # content hash of what a teacher wrote

    # -------------------------------------------------------------------------------------------------------- reading

    def fields(self, record: Record) -> tuple[str, ...] | str:
        return texts_of(record, self.source_field, self.target_field)

    def prepare(self, tokenizer: PreTrainedTokenizerBase | None = None) -> PreTrainedTokenizerBase:
        known = self.tokenizer
        chosen = super().prepare(tokenizer)
        if chosen is not known and self.more is not None:
            self.rows = {**self.rows, "train": [*self.rows["train"], *self._more(self.more, chosen)]}
        return chosen

    def _more(self, path: str, tokenizer: PreTrainedTokenizerBase) -> Iterator[Example]:
        """Further training pairs; one whose source is held out is left out."""
        held = {document.digest for document in (*self.documents.validation, *self.documents.test)}
        for record in of_files(Path(path).expanduser(), Tally()):
            fields = self.fields(record)
            made = LONG if isinstance(fields, str) else self.example(fields, tokenizer)
            if not isinstance(made, str) and hashlib.sha256(made.fields[0].encode()).digest() not in held:
                yield made

    def example(self, fields: tuple[str, ...], tokenizer: PreTrainedTokenizerBase) -> Example | str:
        source, cut = framed(fields[0], tokenizer, self.sequence_length)
        told = tokenizer(fields[1], add_special_tokens=False, split_special_tokens=True, verbose=False)
        ids: list[int] = list(told["input_ids"])  # type: ignore[arg-type]
        if cut or len(ids) + 1 > self.sequence_length:
            return LONG
        return _example(source, ids, self._end(tokenizer), fields)

    def told(self) -> list[object]:
        more = None if self.more is None else sha256(Path(self.more).expanduser())
        return [self.kind, more, self._written]

    @property
    def task(self) -> Task:
        return Task(self.family, start=self.first)

    @property
    def first(self) -> int:
        """The id that a decoder begins with."""
        tokenizer = self.prepare()
        begin: Any = self.given_start if self.given_start is not None else tokenizer.bos_token_id
        return Marks.of(tokenizer).padding if begin is None else int(begin)

    def _end(self, tokenizer: PreTrainedTokenizerBase) -> int:
        end: Any = tokenizer.eos_token_id
        if end is None:
            raise BadInput("data.tokenizer", "has no end mark, so nothing would ever stop", remedy="use another")
        return int(end)

    # ------------------------------------------------------------------------------------------- what a teacher writes

    def meet(self, teacher: str, place: str) -> None:
        """Let the teacher write the training targets, once for the same teacher and sources."""
        super().meet(teacher, place)
        if self.targets == "human" or self._written is not None:
            return
        tokenizer, rows = self.prepare(), self.rows["train"]
        text = kept(self.cache and self.cache / "written", self._name(teacher), lambda: self._asked(teacher))
        candidates = json.loads(text)
        end = self._end(tokenizer)
        self.rows = {
            **self.rows,
            "train": [self._rewritten(row, told, tokenizer, end) for row, told in zip(rows, candidates, strict=True)],
        }
        self._written = hashlib.sha256(json.dumps([self.targets, text]).encode()).hexdigest()

    def searched(self, beams: int, candidates: int = 1) -> Any:
        """How a model of this data searches for a text."""
        tokenizer = self.prepare()
        padding = Marks.of(tokenizer).padding
        return search(self.first, self._end(tokenizer), padding, beams, candidates, self.sequence_length)

    def _asked(self, teacher: str) -> str:
        model = load_model(teacher, self.task)
        padding = Marks.of(self.prepare()).padding
        sources = [row.source for row in self.rows["train"]]
        return json.dumps(list(written(model, sources, self.searched(self.beams, self.beams), padding)))

    def _name(self, teacher: str) -> str:
        weights = [sha256(file) for file in sorted(Path(teacher).glob("*.safetensors"))] or [teacher]
        told = [weights, [row.hash for row in self.rows["train"]], self.beams, fingerprint(self.prepare())]
        return f"{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]}.json"

    def _rewritten(self, row: Example, told: list[list[int]], tokenizer: PreTrainedTokenizerBase, end: int) -> Example:
        ids = told[0]
        if self.targets == "interpolated":
            texts = [str(tokenizer.decode(one, skip_special_tokens=True)) for one in told]
            ids = told[closest(texts, row.fields[1])]
        return _example(row.source, ids, end, (row.fields[0], str(tokenizer.decode(ids, skip_special_tokens=True))))

    # -------------------------------------------------------------------------------------------------------- batches

    @property
    def collate(self) -> Callable[[Sequence[Example]], Batch]:
        return partial(_batch, Marks.of(self.prepare()).padding, self.first)


def _example(source: np.ndarray, ids: Sequence[int], end: int, fields: tuple[str, ...]) -> Example:
    target = np.asarray([*ids, end], dtype=np.int64)
    digest = hashlib.sha256(source.tobytes() + b"|" + target.tobytes()).hexdigest()
    return Example(source, target, digest, len(fields[1].encode("utf-8")) + 1, fields)


def _batch(padding: int, start: int, rows: Sequence[Example]) -> Batch:
    targets, mask = padded([row.target for row in rows], padding)  # (B, T)
    shown = np.concatenate([np.full((len(rows), 1), start), targets[:, :-1]], axis=1)
    positions = torch.from_numpy(mask.reshape(-1).nonzero()[0])
    inputs = inputs_of([row.source for row in rows], padding) | {"decoder_input_ids": torch.from_numpy(shown)}
    return Batch(
        inputs=inputs,
        teacher_inputs=inputs,
        positions=positions,
        teacher_positions=positions,
        targets=torch.from_numpy(targets.reshape(-1))[positions],
        owners=positions // targets.shape[1],
        samples=tuple(row.hash for row in rows),
        bytes=sum(row.bytes for row in rows),
        causal=False,
    )
