"""What data has in common whose samples are prompts and answers: only the answers are learnt.

Rows become records (a conversation, a question), records samples; the records are split by content, and everything
that is dropped or cut is counted. Samples are laid into rows as text is, several to a row, and do not see each other.
"""

import hashlib
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from distill.data.collate import Collate
from distill.data.corpus import Corpus, Document
from distill.data.domains import Domains, apart
from distill.data.encode import Marks
from distill.data.facts import Facts, SplitFacts
from distill.data.module import DataModule
from distill.data.prepared import BEYOND, UNSUPERVISED, SplitName
from distill.data.prompts import Prompt
from distill.data.spelled import Sample, SampleCollate, Spelled, encoded, marks_of
from distill.data.split import Split, split_by_hash
from distill.data.tokenizer import TrainedBPE, fingerprint
from distill.errors import BadInput

FORMAT = 1
"""Raised when the same arguments would give other batches than before."""


@dataclass(frozen=True)
class Shape:
    """How samples become batches: the keys that all such data has.

    Attributes:
        share, validation, test: fractions, as in ``TextData``.
        sequence_length, batch_size, packing, seed, workers, evaluation_tokens: the same.
        truncated: the largest fraction of samples that may be longer than ``sequence_length``.
        domains: what is made of them, in the training split.
    """

    share: float
    validation: float
    test: float
    sequence_length: int
    batch_size: int
    packing: bool
    seed: int
    workers: int
    evaluation_tokens: int | None
    truncated: float
    domains: Domains

    def told(self) -> list[object]:
        """What decides the samples."""
        domains = self.domains
        mixed = None if domains.mixture is None else domains.mixture.told()
        first = [self.validation, self.test, self.share, self.sequence_length, self.packing, self.evaluation_tokens]
        return [*first, mixed, sorted(domains.weights.items()), domains.train]


@dataclass(frozen=True)
class Laid:
    """One split: rows of samples, the records that they come from, and what became of the others."""

    rows: Sequence[tuple[Sample, ...]]
    documents: Sequence[Document]
    facts: SplitFacts
    dropped: Mapping[str, int]
    long: int
    samples: Sequence[Sample]


class AnswerData(DataModule):
    """Records of prompts and answers, split by hash, packed into rows.

    Args:
        shape: how samples become batches.
        tokenizer: a recipe to train one on the training records; None takes the one that ``prepare`` is given.
        cache: a folder for the trained tokenizer; None keeps nothing.
    """

    def __init__(self, shape: Shape, tokenizer: TrainedBPE | None, cache: str | None) -> None:
        super().__init__()
        self.shape, self.recipe = shape, tokenizer
        self.sequence_length, self.batch_size, self.packing = shape.sequence_length, shape.batch_size, shape.packing
        self.seed, self.workers = shape.seed, shape.workers
        self.cache = None if cache is None else Path(cache).expanduser()
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self._laid: dict[SplitName, Laid] = {}

    # ---------------------------------------------------------------------------------------------- what a kind writes

    @cached_property
    @abstractmethod
    def corpus(self) -> Corpus:
        """All records, read once; a document's text is what its place among the splits depends on."""

    @abstractmethod
    def spelled(self, document: Document, training: bool) -> list[Spelled] | str:
        """The samples of a record, or why it has none.

        Args:
            training: else as the student is used, which is what validation and test are made of.
        """

    @abstractmethod
    def whole(self, document: Document) -> str:
        """All that is said in a record: what a tokenizer is trained on, whatever of it is learnt."""

    @abstractmethod
    def told(self) -> list[object]:
        """What decides the samples of a record, for the fingerprint."""

    def ready(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
        """The tokenizer with all that the records need; refuses, with BadInput, one that cannot spell them."""
        return tokenizer

    def weighed(self, samples: list[Sample]) -> list[Sample]:
        """Training samples with the weights of their tasks, known once all are counted."""
        return samples

    # ------------------------------------------------------------------------------------------------------- reading

    @cached_property
    def documents(self) -> Split:
        """Which record stands where."""
        return split_by_hash(self.corpus, self.shape.validation, self.shape.test, self.shape.share)

    @cached_property
    def _train(self) -> list[Document]:
        """Training records of the domains that are trained on."""
        return self.shape.domains.chosen(self.documents.train)

    def prepare(self, tokenizer: PreTrainedTokenizerBase | None = None) -> PreTrainedTokenizerBase:
        if self.tokenizer is not None and (tokenizer is None or tokenizer is self.tokenizer):
            return self.tokenizer
        chosen = tokenizer if tokenizer is not None else self._trained()
        if not chosen.is_fast:
            reason = "it does not tell which characters a token covers"
            raise BadInput("data.tokenizer", reason, remedy="use a tokenizer with a tokenizer.json")
        self.tokenizer = self.ready(chosen)
        limit = self.shape.evaluation_tokens
        self._laid = {
            "train": self._lay(self._train, training=True, enough=None),
            "validation": self._lay(self.documents.validation, training=False, enough=limit),
            "test": self._lay(self.documents.test, training=False, enough=limit),
        }
        if not len(self._laid["train"].rows):
            why = ", ".join(f"{count:,} {reason}" for reason, count in self._dropped().items())
            raise BadInput(self.corpus.source, f"no training record has an answer to learn ({why})")
        self._refuse_truncated()
        return self.tokenizer

    def _lay(self, documents: Sequence[Document], training: bool, enough: int | None) -> Laid:
        dropped: Counter[str] = Counter()
        samples: list[Sample] = []
        used, lengths, lost, long, total = [], [], 0, 0, 0
        for document in documents:
            if enough is not None and total >= enough:
                dropped[BEYOND] += 1
                continue
            made = self.spelled(document, training)
            whole = [] if isinstance(made, str) else [self._encoded(one, document) for one in made]
            whole = [self._weighted(one) for one in whole] if training else whole
            cut = [one.cut(self.sequence_length) for one in whole]
            kept = [one for one in cut if one.tokens]
            lengths += [len(one.piece.inputs) for one in whole]
            long += sum(len(one.piece.inputs) > self.sequence_length for one in whole)
            lost += sum(one.tokens for one in whole) - sum(one.tokens for one in cut)
            total += sum(one.tokens for one in kept)
            if not kept:
                dropped[made if isinstance(made, str) else UNSUPERVISED] += 1
                continue
            used.append(document)
            samples += kept
        samples = self.weighed(samples) if training else samples
        rows = self._packed(samples, training)
        return Laid(rows, used, _facts(used, samples, rows, lengths, long, lost, self), dict(dropped), long, samples)

    def _encoded(self, spelled: Spelled, document: Document) -> Sample:
        assert self.tokenizer is not None
        return encoded(spelled, self.tokenizer, document.domain)

    def _weighted(self, sample: Sample) -> Sample:
        factor = self.shape.domains.weights.get(sample.piece.domain, 1.0)
        return replace(sample, weight=sample.weight * factor)

    def _packed(self, samples: Sequence[Sample], training: bool) -> list[tuple[Sample, ...]]:
        """Rows; where domains are mixed, of one domain each, so that a row can be seen more often."""
        mixture = self.shape.domains.mixture if training else None
        names = [sample.piece.domain if mixture else "" for sample in samples]
        lengths = [len(sample.piece.inputs) for sample in samples]
        made, domains = apart(names, lengths, self.sequence_length, self.packing)
        rows = [tuple(samples[index] for index in row) for row in made]
        return rows if mixture is None else [rows[i] for i in mixture.mixed(domains)]

    def _refuse_truncated(self) -> None:
        """Stop where many samples lose their ends: what is learnt then is something else than what was given."""
        long = sum(one.long for one in self._laid.values())
        count = sum(one.facts.pieces for one in self._laid.values()) + self._dropped().get(UNSUPERVISED, 0)
        if count and long / count > self.shape.truncated:
            longest = max(one.facts.longest_tokens for one in self._laid.values())
            reason = (
                f"{long:,} of {count:,} samples are longer ({long / count:.1%}; the longest has {longest:,} tokens)"
            )
            remedy = f"raise it, or allow more with data.truncated (now {self.shape.truncated:g})"
            raise BadInput("data.sequence_length", reason, value=self.sequence_length, remedy=remedy)

    def _trained(self) -> PreTrainedTokenizerBase:
        if self.recipe is None:
            reason = "neither a recipe nor a model's own tokenizer"
            raise BadInput("data.tokenizer", reason, remedy="name a model, or data.tokenizer.size=1024")
        pool = self.documents.pool
        digest = hashlib.sha256(b"".join(document.digest for document in pool)).hexdigest()
        texts = [self.whole(document) for document in pool]
        return self.recipe.build(texts, digest + hashlib.sha256("".join(texts).encode()).hexdigest(), self.cache)

    # ------------------------------------------------------------------------------------------------------- batches

    @property
    def collate(self) -> Callable[[Sequence[Any]], Any]:
        return SampleCollate(Collate(self.sequence_length, Marks.of(self.prepare()).padding, self.packing))

    @property
    def rows(self) -> Mapping[SplitName, Sequence[tuple[Sample, ...]]]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return {name: laid.rows for name, laid in self._laid.items()}

    def prompts(self, count: int) -> list[Prompt]:
        """What stands before the first answer of test samples, and that answer."""
        tokenizer = self.prepare()
        found = []
        for sample in self._laid["test"].samples[:count]:
            first = int(np.argmax(sample.supervised))
            length = int(np.argmin(np.append(sample.supervised[first:], False)))
            ids = sample.piece.inputs[: first + 1].tolist()
            answer = sample.piece.targets[first : first + length].tolist()
            shown, told = (tokenizer.decode(one, skip_special_tokens=True) for one in (ids, answer))
            found.append(Prompt(tuple(ids), str(shown), str(told)))
        return found

    @property
    def ends(self) -> frozenset[int]:
        tokenizer = self.prepare()
        last = {int(one.piece.targets[one.supervised][-1]) for one in self._laid["train"].samples}
        return frozenset(last) & frozenset(marks_of(tokenizer))

    # ------------------------------------------------------------------------------------------------------- account

    def _dropped(self) -> dict[str, int]:
        told: Counter[str] = Counter(self.corpus.dropped) + Counter(self.documents.dropped)
        if self.shape.domains.train is not None:
            told["other_domain"] = len(self.documents.train) - len(self._train)
        for laid in self._laid.values():
            told.update(laid.dropped)
        return {reason: count for reason, count in sorted(told.items()) if count}

    @property
    def facts(self) -> Facts:
        tokenizer = self.prepare()
        splits = {name: laid.facts for name, laid in self._laid.items()}
        return Facts(self.corpus.source, self.corpus.rows, splits, self._dropped(), len(tokenizer))

    @property
    def fingerprint(self) -> str:
        tokenizer = fingerprint(self.prepare())
        told = [FORMAT, self.kind, self.corpus.sha256, tokenizer, self.shape.told(), self.told()]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _facts(
    used: Sequence[Document],
    samples: Sequence[Sample],
    rows: Sequence[tuple[Sample, ...]],
    lengths: Sequence[int],
    long: int,
    lost: int,
    data: AnswerData,
) -> SplitFacts:
    laid = sum(len(sample.piece.inputs) for row in rows for sample in row)
    return SplitFacts(
        documents=len(used),
        pieces=len(samples),
        rows=len(rows),
        tokens=sum(sample.tokens for sample in samples),
        bytes=sum(sample.piece.bytes for sample in samples),
        fill=laid / (len(rows) * data.sequence_length) if rows else 0.0,
        documents_cut=long,
        tokens_truncated=lost,
        median_tokens=int(np.median(lengths)) if len(lengths) else 0,
        longest_tokens=max(lengths, default=0),
        domains=_by_domain(rows),
    )


def _by_domain(rows: Sequence[tuple[Sample, ...]]) -> dict[str, int]:
    """Supervised tokens of each domain in all rows; nothing where there is but one."""
    found: Counter[str] = Counter()
    for row in rows:
        for sample in row:
            found[sample.piece.domain] += sample.tokens
    return dict(sorted(found.items())) if len(found) > 1 else {}
