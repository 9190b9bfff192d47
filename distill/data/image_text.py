"""Pictures with what is said of them: captions, and answers to questions.

    data = ImageTextData(path="photos/", question_field="question")      # a folder, .jsonl or .parquet: see media.py
    tokenizer = data.prepare()

A picture stands in one split with all its questions. What a teacher is shown may be another resolution, other patches,
or a description instead of the picture (``meet``): the answer's tokens are the same, so they can be compared.

Left out on purpose: chats of several turns, several pictures, boxes.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from transformers import PreTrainedTokenizerBase

from distill.data.corpus import Corpus
from distill.data.encode import Marks
from distill.data.facts import Facts, SplitFacts
from distill.data.media import Folder, Hub
from distill.data.module import DataModule, Saved
from distill.data.picture_processor import PictureProcessor, normal_of
from distill.data.prepared import SplitName
from distill.data.source import Gathered, Item, Source, gathered
from distill.data.split import OUTSIDE_SHARE, split_by_hash
from distill.data.tokenizer import TrainedBPE, fingerprint
from distill.data.views import Layout, Pictures, Shown, View, view_of
from distill.errors import BadInput
from distill.folders import load_config
from distill.ranges import Count, Fraction, Natural, Share
from distill.types import Batch, Family, Task

PICTURE = "<image>"
"""The token that stands for a picture; added to a tokenizer that lacks it."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
LONG, BEYOND = "too_long", "beyond_evaluation_tokens"
FORMAT = 1
"""Raised when the same arguments would give other batches than before."""


class ImageTextData(DataModule):
    """Pictures with captions, or with questions and answers.

    Args:
        path: a folder, a .jsonl or a .parquet; ``distill/data/media.py`` says what they hold.
        name: a data set of the hub.
        source: anything else that yields pictures; exactly one of the three is given.
        image_field: the key or column of the picture.
        text_field: of the caption or the answer, which is what is learned.
        question_field: of the question; None: there are captions only.
        kind_field: of the question's type, by which accuracy is also told; None: there is one.
        description_field: of a text that says what the picture shows, for a model that reads instead of sees.
        subset, split: of the hub's data set.
        family: ``image_text`` sees the picture; ``causal`` reads the description instead.
        layout: of a student that sees: ``inline`` (LLaVA) or ``cross`` (vision encoder–decoder).
        image_size: S, pixels of the square picture that the student is shown.
        patch_size: pixels of a patch: the student is shown (S / patch)² of them, inline.
        template: the prompt; ``{image}`` is the picture's place, ``{question}`` the question's.
        tokenizer: a recipe to train one on the training texts; None takes the one that ``prepare`` is given.
        share: fraction of the training pictures that is trained on.
        validation, test: fractions of all pictures.
        sequence_length: positions of a sample at most; longer ones are dropped and counted.
        batch_size: samples of a micro-batch on one device.
        seed: of the order of training samples.
        workers: processes that make batches.
        evaluation_tokens: stop validation and test with the answer that reaches this many tokens; None takes all.
        cache: a folder for the trained tokenizer.

    Raises:
        BadInput: not exactly one source, or a template without a picture.
    """

    kind: ClassVar[str] = "image_text"

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        source: Source | None = None,
        image_field: str = "image",
        text_field: str = "text",
        question_field: str | None = None,
        kind_field: str | None = None,
        description_field: str | None = None,
        subset: str | None = None,
        split: str = "train",
        family: Literal["image_text", "causal"] = "image_text",
        layout: Literal["inline", "cross"] = "inline",
        image_size: Count = 64,
        patch_size: Count = 8,
        template: str = "{image}{question}",
        tokenizer: TrainedBPE | None = None,
        share: Share = 1.0,
        validation: Fraction = 0.05,
        test: Fraction = 0.1,
        sequence_length: Count = 128,
        batch_size: Count = 32,
        seed: Natural = 0,
        workers: Natural = 0,
        evaluation_tokens: Count | None = None,
        cache: str | None = None,
    ) -> None:
        super().__init__()
        given = [one for one in (path, name, source) if one is not None]
        if len(given) != 1:
            reason = f"{len(given)} sources of pictures"
            raise BadInput("data.path, data.name, data.source", reason, remedy="give one: data.path=FOLDER")
        if template.count("{image}") != 1:
            raise BadInput("data.template", "names no one place for the picture", value=template, remedy="{image}")
        if family == "causal" and description_field is None:
            reason = "a model that reads needs a description of the picture"
            raise BadInput("data.description_field", reason, remedy="name the field, or family: image_text")
        self.family: Family = family
        self.fields = {"answer": text_field, "question": question_field, "kind": kind_field}
        self.fields |= {"description": description_field}
        named = tuple(one for one in self.fields.values() if one is not None)
        self.cache = None if cache is None else Path(cache).expanduser()
        if path is not None:
            source = Folder(path, image_field, named, SUFFIXES)
        elif name is not None:
            source = Hub(name, image_field, named, split, subset, self.cache)
        assert source is not None
        self.source, self.image_size, self.patch_size = source, image_size, patch_size
        self.layout: Layout = layout
        self.template, self.recipe, self.share, self.fractions = template, tokenizer, share, (validation, test)
        self.sequence_length, self.batch_size, self.seed, self.workers = sequence_length, batch_size, seed, workers
        self.evaluation_tokens = evaluation_tokens
        self.rows: Mapping[SplitName, Sequence[Shown]] = {}
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self.teacher_view: View | None = None
        self._facts: Facts | None = None
        self._known: dict[str, tuple[int, ...]] = {}

    # ---------------------------------------------------------------------------------------------------- reading

    @cached_property
    def gathered(self) -> Gathered:
        """All pictures, each decoded once."""
        wanted = [self.fields["answer"], *([self.fields["question"]] if self.fields["question"] else [])]
        return gathered(self.source, Pictures(), [one for one in wanted if one])

    def prepare(self, tokenizer: PreTrainedTokenizerBase | None = None) -> PreTrainedTokenizerBase:
        """Read, split and tokenise. Called again with the same tokenizer or none, it does nothing.

        Raises:
            BadInput: there is neither a tokenizer nor a recipe, or nothing is left to train on.
        """
        if self.tokenizer is not None and (tokenizer is None or tokenizer is self.tokenizer):
            return self.tokenizer
        found = self.gathered
        corpus = Corpus(self.source.name, found.documents, found.tally.rows, dict(found.tally.dropped))
        split = split_by_hash(corpus, *self.fractions, self.share)
        chosen = tokenizer if tokenizer is not None else self._trained([one.digest for one in split.pool])
        if PICTURE not in chosen.get_vocab():
            chosen.add_special_tokens({"additional_special_tokens": [PICTURE]})
        self.tokenizer, self._known = chosen, {}
        dropped = dict(found.tally.dropped)
        left = sum(len(found.groups[one.digest]) for one in split.pool) - sum(
            len(found.groups[one.digest]) for one in split.train
        )
        dropped |= {OUTSIDE_SHARE: left} if left else {}
        parts: dict[SplitName, Sequence] = {"train": split.train, "validation": split.validation, "test": split.test}
        self.rows = {name: self._kept(name, documents, dropped) for name, documents in parts.items()}
        if not self.rows["train"]:
            raise BadInput(self.source.name, "no training sample is left", remedy="a larger data.sequence_length")
        told = {name: _split_facts(rows, self.view, chosen) for name, rows in self.rows.items()}
        source = "; ".join([self.source.name, *found.lines()])
        self._facts = Facts(source, found.tally.rows, told, dropped, len(chosen))
        return chosen

    def _kept(self, name: SplitName, documents: Sequence, dropped: dict[str, int]) -> list[Shown]:
        kept: list[Shown] = []
        tokens = 0
        limit = self.evaluation_tokens if name != "train" else None
        for item, digest in self._items(documents):
            shown = self._shown(item, digest)
            reason = LONG if self.view.length(shown) > self.sequence_length else None
            reason = BEYOND if reason is None and limit is not None and tokens >= limit else reason
            if reason is None:
                kept.append(shown)
                tokens += len(shown.answer)
            else:
                dropped[reason] = dropped.get(reason, 0) + 1
        return kept

    def _items(self, documents: Sequence) -> Iterator[tuple[Item, bytes]]:
        for document in documents:
            for item in self.gathered.groups[document.digest]:
                yield item, document.digest

    def _shown(self, item: Item, digest: bytes) -> Shown:
        texts = {role: item.texts.get(name, "") if name else "" for role, name in self.fields.items()}
        before, _, after = self.template.format(image="\0", question=texts["question"]).partition("\0")
        tokenizer, marks = self._ready(), Marks.of(self._ready())
        opened = () if marks.begin is None else (marks.begin,)
        ids = {role: self._ids(tokenizer, text) for role, text in (("before", before), ("after", after))}
        described = self._ids(tokenizer, "\n".join(filter(None, (texts["description"], texts["question"]))))
        ended = () if marks.end is None else (marks.end,)
        answer = (*self._ids(tokenizer, f" {texts['answer'].strip()}"), *ended)
        told = json.dumps([digest.hex(), ids["before"], ids["after"], described, answer]).encode()
        return Shown(
            content=item.content,
            before=(*opened, *ids["before"]),
            after=ids["after"],
            described=(*(opened or ended), *described),
            answer=answer,
            hash=hashlib.sha256(told).hexdigest(),
            texts=texts,
            place=item.place,
        )

    def _ids(self, tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
        """Of a text; questions and answers come again and again."""
        if text not in self._known:
            told: Any = tokenizer(text, add_special_tokens=False)["input_ids"]
            self._known[text] = tuple(told)
        return self._known[text]

    def _trained(self, digests: Sequence[bytes]) -> PreTrainedTokenizerBase:
        if self.recipe is None:
            reason = "neither a recipe nor a model's own tokenizer"
            raise BadInput("data.tokenizer", reason, remedy="leave the recipe, or name a model")
        items = [item for digest in digests for item in self.gathered.groups[digest]]
        texts = sorted({f" {text.strip()}" for item in items for text in item.texts.values()})
        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        return self.recipe.build(texts, digest, self.cache)

    def _ready(self) -> PreTrainedTokenizerBase:
        return self.tokenizer if self.tokenizer is not None else self.prepare()

    # -------------------------------------------------------------------------------------------- what models are shown

    @property
    def view(self) -> View:
        """The student's."""
        tokenizer, marks = self._ready(), Marks.of(self._ready())
        if self.family == "causal":
            return View("text", padding=marks.padding)
        placeholder = tokenizer.get_vocab()[PICTURE]
        patches = (self.image_size // self.patch_size) ** 2
        return View(self.layout, self.image_size, patches, placeholder, marks.end or 0, marks.padding)

    def meet(self, teacher: str, place: str) -> None:
        """Show the teacher what it can read: its own resolution and patches, or the description.

        Raises:
            BadInput: it only reads, and there is no description; or its samples are longer than it bears.
        """
        config = load_config(teacher)
        tokenizer = self._ready()
        normal = normal_of(teacher)
        view = view_of(config, tokenizer.get_vocab()[PICTURE], Marks.of(tokenizer).padding, normal)
        if view.layout == "text" and self.fields["description"] is None:
            reason = "only reads, and the pictures have no description"
            raise BadInput(place, reason, value=teacher, remedy="data.description_field=NAME, or a teacher that sees")
        self.teacher_view = None if view == self.view else view
        self.teacher_differs = self.teacher_view is not None

    @property
    def collate(self) -> "Collate":
        return Collate(self.view, self.teacher_view)

    @property
    def teacher_rate(self) -> float:
        """Positions of the teacher's for one of the student's."""
        if self.teacher_view is None:
            return 1.0
        rows = self.rows["train"][:256]
        return sum(map(self.teacher_view.length, rows)) / sum(map(self.view.length, rows))

    # ---------------------------------------------------------------------------------------------------- the contract

    @property
    def task(self) -> Task:
        start = self.view.start if self.family == "image_text" and self.layout == "cross" else None
        return Task(self.family, start=start, picture=(self.image_size, self.patch_size))

    @property
    def processor(self) -> Saved:
        return PictureProcessor(self._ready(), self.view)

    @property
    def facts(self) -> Facts:
        self.prepare()
        assert self._facts is not None
        return self._facts

    @property
    def fingerprint(self) -> str:
        told = {
            "format": FORMAT,
            "pictures": self.gathered.sha256,
            "fields": self.fields,
            "family": self.family,
            "template": self.template,
            "validation, test, share": [*self.fractions, self.share],
            "tokenizer": fingerprint(self._ready()),
            "view": [self.layout, self.image_size, self.patch_size],
            "sequence_length": self.sequence_length,
            "evaluation_tokens": self.evaluation_tokens,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class Collate:
    """Samples -> a batch: the student's side, and the teacher's if it looks at them in another way."""

    def __init__(self, view: View, teacher: View | None) -> None:
        self.view, self.teacher = view, teacher

    def __call__(self, rows: Sequence[Shown]) -> Batch:
        inputs, positions = self.view.laid(rows)
        theirs = (inputs, positions) if self.teacher is None else self.teacher.laid(rows)
        lengths = torch.tensor([len(one.answer) for one in rows])
        return Batch(
            inputs=inputs,
            teacher_inputs=theirs[0],
            positions=positions,
            teacher_positions=theirs[1],
            targets=torch.tensor([token for one in rows for token in one.answer]),
            owners=torch.arange(len(rows)).repeat_interleave(lengths),
            samples=tuple(one.hash for one in rows),
            domains=tuple(one.texts["kind"] for one in rows),
            causal=False,  # a row is a sample, and its picture is seen from everywhere
        )


def _split_facts(rows: Sequence[Shown], view: View, tokenizer: PreTrainedTokenizerBase) -> SplitFacts:
    lengths = sorted(map(view.length, rows)) or [0]
    tokens = sum(len(one.answer) for one in rows)
    return SplitFacts(
        documents=len(rows),
        pieces=len(rows),
        rows=len(rows),
        tokens=tokens,
        bytes=0,
        fill=1.0,
        documents_cut=0,
        tokens_truncated=0,
        median_tokens=lengths[len(lengths) // 2],
        longest_tokens=lengths[-1],
    )
