"""What data has in common whose rows are examples: an input, and what should come of it. One row is one sample.

The input alone decides in which split an example stands, so that no test input was ever trained on with another
answer. Everything that is dropped or cut is counted. Left out on purpose: several examples in a row.
"""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from distill.data.corpus import DUPLICATE, EMPTY, Corpus, Document, Tally
from distill.data.facts import Facts, SplitFacts
from distill.data.module import DataModule
from distill.data.prepared import BEYOND, SplitName
from distill.data.records import Record, of_files, of_hub
from distill.data.split import split_by_hash
from distill.data.tokenizer import TrainedBPE, fingerprint
from distill.errors import BadInput

FORMAT = 1
"""Raised when the same arguments would give other batches than before."""


@dataclass(frozen=True)
class Place:
    """Where the rows are: exactly one of ``path`` and ``name``, as in ``data=text``."""

    path: str | None
    name: str | None
    subset: str | None
    split: str

    def records(self, tally: Tally, cache: Path | None) -> Iterator[Record]:
        """
        Raises:
            BadInput: neither or both are given, or they cannot be read.
        """
        if (self.path is None) == (self.name is None):
            told = "two sources" if self.path is not None else "no source"
            raise BadInput("data.path and data.name", told, remedy="give one: data.path=FILE or data.name=org/set")
        if self.path is not None:
            return of_files(Path(self.path).expanduser(), tally)
        assert self.name is not None
        return of_hub(self.name, self.split, self.subset, cache, tally)

    @property
    def told(self) -> str:
        return self.path or f"{self.name} ({self.split})"


@dataclass(frozen=True)
class Portion:
    """How examples are split and shown: the keys that all such data has."""

    share: float
    validation: float
    test: float
    sequence_length: int
    batch_size: int
    seed: int
    workers: int
    evaluation_tokens: int | None


@dataclass(frozen=True)
class Example:
    """An example in tokens.

    Attributes:
        source: ids of the input, marks included.
        target: ids of what should come of it, the end mark included; or the one number of its label.
        hash: sha256 of both.
        bytes: UTF-8, that the target spells; 0 for a label.
        fields: as they were read, for those who compare texts.
        cut: the input was longer.
    """

    source: np.ndarray
    target: np.ndarray
    hash: str
    bytes: int
    fields: tuple[str, ...]
    cut: bool = False


class ExampleData(DataModule):
    """Examples, split by the hash of their input.

    Args:
        place: where the rows are.
        portion: how they are split and shown.
        recipe: to train a tokenizer on the training examples; None takes the one that ``prepare`` is given.
        cache: a folder for the trained tokenizer; None keeps nothing.
    """

    def __init__(self, place: Place, portion: Portion, recipe: TrainedBPE | None, cache: str | None) -> None:
        super().__init__()
        self.place, self.portion, self.recipe = place, portion, recipe
        self.sequence_length, self.batch_size = portion.sequence_length, portion.batch_size
        self.seed, self.workers = portion.seed, portion.workers
        self.cache = None if cache is None else Path(cache).expanduser()
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self.rows: Mapping[SplitName, Sequence[Example]] = {}
        self._dropped: dict[str, int] = {}

    # ---------------------------------------------------------------------------------------------- what a kind writes

    @abstractmethod
    def fields(self, record: Record) -> tuple[str, ...] | str:
        """The input and what should come of it; or why the row is dropped."""

    @abstractmethod
    def example(self, fields: tuple[str, ...], tokenizer: PreTrainedTokenizerBase) -> Example | str:
        """The same in tokens; or why it is dropped."""

    @abstractmethod
    def told(self) -> list[object]:
        """What else decides the examples, for the fingerprint."""

    def records(self, tally: Tally) -> Iterator[Record]:
        """The rows; where they are of no file and no set, a subclass says from where."""
        return self.place.records(tally, self.cache)

    def ready(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
        """The tokenizer with all that is needed."""
        return tokenizer

    # -------------------------------------------------------------------------------------------------------- reading

    @cached_property
    def corpus(self) -> Corpus:
        """All examples, read once: a document's text is its fields as JSON, its digest is of the input."""
        tally, found = Tally(), dict[bytes, Document]()
        for record in self.records(tally):
            fields = self.fields(record)
            if isinstance(fields, str):
                tally.drop(fields)
                continue
            digest = hashlib.sha256(fields[0].encode()).digest()
            if digest in found:
                tally.drop(DUPLICATE)
            else:
                found[digest] = Document(json.dumps(fields, ensure_ascii=False), digest, record.domain)
        if not found:
            raise BadInput(self.place.told, f"no example left of {tally.rows} rows", remedy="check the names of fields")
        return Corpus(self.place.told, tuple(found.values()), tally.rows, dict(sorted(tally.dropped.items())))

    @cached_property
    def documents(self):
        """Which example stands where."""
        return split_by_hash(self.corpus, self.portion.validation, self.portion.test, self.portion.share)

    def prepare(self, tokenizer: PreTrainedTokenizerBase | None = None) -> PreTrainedTokenizerBase:
        if self.tokenizer is not None and (tokenizer is None or tokenizer is self.tokenizer):
            return self.tokenizer
        chosen = self.ready(tokenizer if tokenizer is not None else self._trained())
        split, self._dropped = self.documents, {}
        limit = self.portion.evaluation_tokens
        self.rows = {
            "train": self._encoded(split.train, chosen, None),
            "validation": self._encoded(split.validation, chosen, limit),
            "test": self._encoded(split.test, chosen, limit),
        }
        if not self.rows["train"]:
            raise BadInput(self.place.told, "no training example is left", remedy="a larger data.sequence_length")
        self.tokenizer = chosen
        return chosen

    def _encoded(
        self, documents: Sequence[Document], tokenizer: PreTrainedTokenizerBase, limit: int | None
    ) -> list[Example]:
        kept: list[Example] = []
        tokens = 0
        for document in documents:
            made = BEYOND if limit is not None and tokens >= limit else self._example(document, tokenizer)
            if isinstance(made, str):
                self._dropped[made] = self._dropped.get(made, 0) + 1
            else:
                kept.append(made)
                tokens += len(made.target)
        return kept

    def _example(self, document: Document, tokenizer: PreTrainedTokenizerBase) -> Example | str:
        return self.example(tuple(json.loads(document.text)), tokenizer)

    def _trained(self) -> PreTrainedTokenizerBase:
        if self.recipe is None:
            reason = "neither a recipe nor a model's own tokenizer"
            raise BadInput("data.tokenizer", reason, remedy="leave the recipe, or name a model")
        pool = self.documents.pool
        digest = hashlib.sha256(b"".join(document.text.encode() for document in pool)).hexdigest()
        texts = [text for document in pool for text in json.loads(document.text)]
        return self.recipe.build(texts, digest, self.cache)

    # -------------------------------------------------------------------------------------------------------- account

    @property
    def facts(self) -> Facts:
        tokenizer = self.prepare()
        dropped = {**self.corpus.dropped, **self.documents.dropped, **self._dropped}
        splits = {name: _facts(rows) for name, rows in self.rows.items()}
        return Facts(self.corpus.source, self.corpus.rows, splits, dropped, len(tokenizer))

    @property
    def fingerprint(self) -> str:
        portion = self.portion
        fractions = [portion.validation, portion.test, portion.share, portion.evaluation_tokens]
        content = hashlib.sha256("\n".join(document.text for document in self.corpus.documents).encode()).hexdigest()
        told = [FORMAT, content, fractions, self.sequence_length, fingerprint(self.prepare()), self.told()]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def texts_of(record: Record, *names: str) -> tuple[str, ...] | str:
    """The texts of some fields, or that one of them is blank."""
    texts = tuple(record.text(name).strip() for name in names)
    return texts if all(texts) else EMPTY


def padded(arrays: Sequence[np.ndarray], padding: int) -> tuple[np.ndarray, np.ndarray]:
    """((B, S) ids padded on the right to the longest, (B, S) 1 where they are ids)."""
    width = max((len(one) for one in arrays), default=1)
    ids = np.full((len(arrays), width), padding, dtype=np.int64)
    for row, one in enumerate(arrays):
        ids[row, : len(one)] = one
    lengths = np.asarray([len(one) for one in arrays])
    return ids, (np.arange(width) < lengths[:, None]).astype(np.int64)


def _facts(rows: Sequence[Example]) -> SplitFacts:
    lengths = [len(row.source) for row in rows] or [0]
    return SplitFacts(
        documents=len(rows),
        pieces=len(rows),
        rows=len(rows),
        tokens=sum(len(row.target) for row in rows),
        bytes=sum(row.bytes for row in rows),
        fill=sum(lengths) / (max(lengths) * len(lengths)) if max(lengths) else 0.0,
        documents_cut=sum(row.cut for row in rows),
        tokens_truncated=0,
        median_tokens=int(np.median(lengths)),
        longest_tokens=max(lengths),
    )
