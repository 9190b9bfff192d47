"""Plain text for causal language models: documents in, batches out; the one data module of this modality.

    data = TextData(path="notes.jsonl", tokenizer=TrainedBPE(1024), share=0.25)
    tokenizer = data.prepare()                       # or data.prepare(load_tokenizer("org/model"))
    for batch in data.stream(start=0): ...           # endless, a pure function of (seed, micro-step)
    for batch in data.test_batches(): ...            # finite, fixed

Left out on purpose: chat, instruction and reasoning data, which supervise a part of a sample: files of their own.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from transformers import PreTrainedTokenizerBase

from distill.data.beside import beside
from distill.data.collate import Collate
from distill.data.corpus import Corpus, Document
from distill.data.domains import Domains
from distill.data.encode import Marks
from distill.data.facts import Facts
from distill.data.files import files
from distill.data.hub import hub
from distill.data.mixture import Mixture
from distill.data.module import DataModule
from distill.data.named import named
from distill.data.packing import Rows
from distill.data.prepared import Prepared, SplitName, prepared
from distill.data.prompts import Prompt, prompts
from distill.data.python_docs import python_docs
from distill.data.split import Split, split_by_hash
from distill.data.tokenizer import TrainedBPE, fingerprint
from distill.errors import BadInput
from distill.ranges import Count, Fraction, Natural, Share

FORMAT = 1
"""Raised when the same arguments would give other batches than before."""


class TextData(DataModule):
    """Documents of plain text, split by hash, cut into pieces, packed into rows.

    Args:
        path: a file or folder of the user's: .txt, .jsonl (.gz, .xz), .parquet.
        name: a data set of the hub, or a folder that ``datasets`` reads. Nothing at all: the documentation that every
            Python carries.
        sources: several sources, each a domain: name -> a file or folder, null for that documentation.
        field: the key or column that holds the text.
        subset: the configuration of the hub's data set.
        split: the split of the hub's data set that is read; train, validation and test are made of it here.
        tokenizer: a recipe to train one on the training documents; None takes the one that ``prepare`` is given.
        share: fraction of the training documents that is trained on; validation and test stay as they are.
        validation: fraction of all documents that selects the best point.
        test: fraction of all documents that is reported.
        sequence_length: tokens of a piece at most, and of a packed row.
        batch_size: rows of a micro-batch on one device.
        packing: several pieces in a row, which do not see each other; false gives each a row of its own.
        seed: of the order of training rows.
        workers: processes that make batches; 0 makes them in this one.
        evaluation_tokens: stop validation and test with the piece that reaches this many tokens; None takes all.
        mixture: how often each domain is seen.
        domain_weights: of a domain's tokens in every loss.
        train_domains: train on these alone.
        cache: a folder for the gathered documentation and the trained tokenizer; None keeps nothing.

    Raises:
        BadInput: more than one of path, name and sources is given.
    """

    kind: ClassVar[str] = "text"

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        field: str = "text",
        subset: str | None = None,
        split: str = "train",
        tokenizer: TrainedBPE | None = None,
        share: Share = 1.0,
        validation: Fraction = 0.05,
        test: Fraction = 0.05,
        sequence_length: Count = 64,
        batch_size: Count = 32,
        packing: bool = True,
        seed: Natural = 0,
        workers: Natural = 0,
        evaluation_tokens: Count | None = None,
        cache: str | None = None,
        sources: dict[str, str | None] | None = None,
        mixture: Mixture | None = None,
        domain_weights: dict[str, float] | None = None,
        train_domains: list[str] | None = None,
    ) -> None:
        super().__init__()
        given = [str(one) for one in (path, name, sources) if one is not None]
        if len(given) > 1:
            place, both = "data.path, data.name, data.sources", ", ".join(given)
            raise BadInput(place, "two sources of text", value=both, remedy="give one of them")
        self.sources, self.domains = sources, Domains(mixture, domain_weights or {}, train_domains)
        self.path, self.name, self.field, self.subset, self.split = path, name, field, subset, split
        self.recipe, self.share, self.packing = tokenizer, share, packing
        self.fractions = (validation, test)
        self.sequence_length, self.batch_size = sequence_length, batch_size
        self.seed, self.workers, self.evaluation_tokens = seed, workers, evaluation_tokens
        self.cache = None if cache is None else Path(cache).expanduser()
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self._prepared: dict[SplitName, Prepared] = {}
        self._teacher: PreTrainedTokenizerBase | None = None  # a teacher's own tokenizer

    # ---------------------------------------------------------------------------------------------------- reading

    @cached_property
    def corpus(self) -> Corpus:
        """All documents, read once."""
        if self.path is not None:
            return files(Path(self.path).expanduser(), self.field)
        if self.sources is not None:
            return named(self.sources, self.field, self.cache)
        if self.name is not None:
            return hub(self.name, self.field, self.split, self.subset, self.cache)
        return python_docs(self.cache)

    @cached_property
    def documents(self) -> Split:
        """Which document stands where."""
        return split_by_hash(self.corpus, *self.fractions, self.share)

    @cached_property
    def _train(self) -> list[Document]:
        """Training documents of the domains that are trained on."""
        return self.domains.chosen(self.documents.train)

    def prepare(self, tokenizer: PreTrainedTokenizerBase | None = None) -> PreTrainedTokenizerBase:
        """Read, split, tokenise and pack. Called again with the same tokenizer or none, it does nothing.

        Args:
            tokenizer: the teacher's or the student's; None trains one by the recipe.

        Returns:
            The tokenizer in use.

        Raises:
            BadInput: the text cannot be used, or there is neither a tokenizer nor a recipe.
        """
        if self.tokenizer is not None and (tokenizer is None or tokenizer is self.tokenizer):
            return self.tokenizer
        chosen = tokenizer if tokenizer is not None else self._trained()
        if not chosen.is_fast:
            reason = "it does not tell which characters a token covers"
            raise BadInput("data.tokenizer", reason, remedy="use a tokenizer with a tokenizer.json")
        limit = self.evaluation_tokens
        parts: dict[SplitName, tuple] = {
            "train": (self._train, None, self.domains),
            "validation": (self.documents.validation, limit, None),
            "test": (self.documents.test, limit, None),
        }
        self._prepared = {
            name: prepared(documents, chosen, Marks.of(chosen), self.sequence_length, self.packing, enough, domains)
            for name, (documents, enough, domains) in parts.items()
        }
        if not len(self._prepared["train"].rows):
            raise BadInput(self.corpus.source, "no training document has a token to predict", remedy="give more text")
        self.tokenizer, self._teacher = chosen, None
        return chosen

    def pair(self, teacher: PreTrainedTokenizerBase) -> None:
        """Let every batch carry the same text in the tokens of a teacher with another tokenizer.

        Raises:
            BadInput: the tokenizer does not tell where its tokens lie.
        """
        tokenizer = self._ready()
        if not teacher.is_fast:
            reason = "its tokenizer does not tell which characters a token covers"
            raise BadInput("teacher", reason, remedy="use a model with a tokenizer.json")
        documents = {
            "train": self._train,
            "validation": self.documents.validation,
            "test": self.documents.test,
        }
        for name, made in self._prepared.items():
            texts = (document.text for document in documents[name])
            sides = beside(texts, made.rows.pieces.encoded, tokenizer, teacher)
            pieces = replace(made.rows.pieces, beside=sides)
            self._prepared[name] = replace(made, rows=Rows(pieces, made.rows.members, made.rows.bounds))
        self._teacher = teacher

    def teacher_length(self) -> int:
        """The most tokens of a teacher with another tokenizer that a training, validation or test piece has."""
        parts = [made.rows.pieces for made in self._prepared.values()]
        return max(part.beside.longest(part.starts, part.lengths) for part in parts if part.beside)

    @property
    def teacher_rate(self) -> float:
        """Tokens of the teacher's in the training documents for one of the student's; 1 where it has the student's."""
        sides = self._prepared["train"].rows.pieces.beside
        return 1.0 if sides is None else len(sides.teacher.encoded.ids) / len(sides.student.encoded.ids)

    def _trained(self) -> PreTrainedTokenizerBase:
        if self.recipe is None:
            reason = "neither a recipe nor a model's own tokenizer"
            raise BadInput("data.tokenizer", reason, remedy="leave the recipe, or name a model")
        pool = self.documents.pool
        digest = hashlib.sha256(b"".join(document.digest for document in pool)).hexdigest()
        return self.recipe.build([document.text for document in pool], digest, self.cache)

    # ---------------------------------------------------------------------------------------------------- batches

    @property
    def collate(self) -> Collate:
        theirs = None if self._teacher is None else Marks.of(self._teacher).padding
        return Collate(self.sequence_length, Marks.of(self._ready()).padding, self.packing, theirs)

    @property
    def rows(self) -> Mapping[SplitName, Rows]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return {name: made.rows for name, made in self._prepared.items()}

    def prompts(self, count: int) -> list[Prompt]:
        """Beginnings of test documents and how they go on, half a ``sequence_length`` each."""
        tokenizer = self._ready()
        half = max(self.sequence_length // 2, 1)
        return prompts(self.documents.test, tokenizer, Marks.of(tokenizer), half, count)

    def _ready(self) -> PreTrainedTokenizerBase:
        return self.prepare()

    # ---------------------------------------------------------------------------------------------------- account

    @property
    def facts(self) -> Facts:
        """Documents, tokens, bytes, rows and what was dropped, for printing and for reports."""
        tokenizer = self._ready()
        dropped = dict(self.corpus.dropped) | dict(self.documents.dropped)
        if others := len(self.documents.train) - len(self._train):
            dropped["other_domain"] = others
        for made in self._prepared.values():
            for reason, count in made.dropped.items():
                dropped[reason] = dropped.get(reason, 0) + count
        splits = {name: made.facts for name, made in self._prepared.items()}
        return Facts(self.corpus.source, self.corpus.rows, splits, dropped, len(tokenizer))

    @property
    def fingerprint(self) -> str:
        """sha256 of what the data is: text, splits, share, tokenizer, length and packing, and how much of validation
        and test is looked at, for that decides which point of a training is the best.

        Not in it: in which order and how many at a time it is shown (seed, batch size, workers), and where it lies.
        """
        told = {
            "format": FORMAT,
            "corpus": self.corpus.sha256,
            "validation, test, share": [*self.fractions, self.share],
            "tokenizer": fingerprint(self._ready()),
            "sequence_length": self.sequence_length,
            "packing": self.packing,
            "evaluation_tokens": self.evaluation_tokens,
        }
        if decided := self.domains.told(self.documents.train):
            told["domains"] = decided
        if self._teacher is not None:
            told["teacher's tokenizer"] = fingerprint(self._teacher)
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
