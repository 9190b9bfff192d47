"""A teacher that is asked once: what it said is read from the disk, by every run that asks the same of the same.

What is not there yet is asked, written and then read back, so that the first run of a sweep computes with the same
numbers as the last. While one process asks, the others wait for what it writes.
"""

import shutil
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch

from distill.errors import BadInput, ResourceStop
from distill.models import head
from distill.ranges import Count
from distill.signals.kept.kept import Kept, Room
from distill.signals.shard import ROW, Written
from distill.signals.store import SHARD_BYTES, Store
from distill.teachers.samples import Asked, samples
from distill.teachers.teacher import Teacher
from distill.types import Batch, Head, ModelShape, Request, Signal
from distill.wheels import default_cache

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

STORES = "signals"
ROOM = 1.02
"""What a file system takes beyond the bytes themselves."""
A_ROW = 16
"""Tokens of a short sample, to guess how many rows so many tokens are."""
FORMAT = 1
"""Raised when the same teacher and batch would be stored otherwise than before."""


class Stored(Teacher):
    """Another teacher's word, asked once and kept on disk: a sweep over temperatures or weights asks for it once.

    Its source's weights are loaded when something is missing, or measured; a full store needs none.

    Args:
        source: the teacher that is asked.
        signal: what of its word is kept. It decides which losses can be answered.
        cache: the folder of all stores is in it; null for the user's cache folder.
        shard_bytes: of a file at most.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"logits", "hidden"})

    def __init__(
        self, source: Teacher, signal: Kept, cache: str | None = None, shard_bytes: Count = SHARD_BYTES
    ) -> None:
        self.source, self.signal = source, signal
        self.root = (default_cache() if cache is None else Path(cache)).expanduser() / STORES
        self.shard_bytes = shard_bytes
        self.provides = signal.provides  # pyright: ignore[reportAttributeAccessIssue]  (of this one, not of the class)
        self._packs = False
        self._device = torch.device("cpu")

    # ---------------------------------------------------------------------------------------------- as any teacher

    @property
    def shape(self) -> ModelShape | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.source.shape

    @property
    def vocabulary(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.source.vocabulary

    @property
    def folder(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.source.folder

    @property
    def model(self) -> "PreTrainedModel | None":
        return self.exact.model

    @property
    def exact(self) -> Teacher:
        """The source, ready to be asked."""
        if self._packs:
            self.source.check_packing()
            self._packs = False
        return self.source

    @property
    def fingerprint(self) -> str:
        return self.store.key

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.source.notes, self.signal.note) if self.signal.note else self.source.notes

    def read_with(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.source.read_with(tokenizer)

    def share(self, vocabulary: int) -> None:
        self.source.share(vocabulary)

    def check_packing(self) -> None:
        self._packs = True  # asked of its model, once that is loaded

    def to(self, device: torch.device) -> "Stored":
        self._device = device
        self.source.to(device)
        return self

    # -------------------------------------------------------------------------------------------------- the store

    @property
    def room(self) -> Room:
        shape = self.shape
        return Room(self.vocabulary, 0) if shape is None else Room(self.vocabulary, shape.width, shape.layers)

    @property
    def told(self) -> dict[str, object]:
        """Everything that changes what a row says. The shared vocabulary does where a distribution is normalised
        before it is kept."""
        whole = {} if self.signal.headed else {"vocabulary": self.vocabulary}
        return {"stored": FORMAT, "teacher": self.source.fingerprint, "signal": self.signal.told, **whole}

    @cached_property
    def store(self) -> Store:
        """Opened when it is first needed, after ``share``."""
        return Store(self.root, self.told, self.shard_bytes, self.folder)

    def needed(self, tokens: int, rows: int) -> int:
        """Bytes on disk of so many tokens in so many rows, with the head if it is not there yet."""
        head = 0
        if self.signal.headed and tokens and self.shape is not None and self.store.head() is None:
            head = 4 * self.shape.vocabulary * self.shape.width
        return int(ROOM * (tokens * self.signal.bytes_per_token(self.room) + rows * ROW.itemsize)) + head

    def refuse_full(self, needed: int) -> None:
        """Refuse before anything is asked.

        Raises:
            ResourceStop: the disk has not so many bytes.
        """
        free = shutil.disk_usage(self.store.folder).free
        if needed > free:
            reason = f"the store needs {needed / 2**20:,.1f} MiB, {free / 2**20:,.1f} MiB are free"
            remedy = "free some, choose paths.cache, or a smaller teacher.signal"
            raise ResourceStop(str(self.store.folder), reason, remedy=remedy)

    def foretell(self, tokens: int) -> tuple[str, ...]:
        self.store.refresh()
        missing = max(tokens - self.store.tokens, 0)
        needed = self.needed(missing, missing // A_ROW)
        self.refuse_full(needed)
        has = f"store: {self.store.tokens:,} tokens in {self.store.folder}"
        return (f"{has}; this run asks about {tokens:,} at most, {needed / 2**20:,.2f} MiB more",)

    def teach(self, batch: Batch, request: Request) -> Signal:
        """What the source said about this batch, now or at any time before.

        Raises:
            BadInput: layers, attention weights or outputs of modules are asked for, which are not kept.
        """
        if request | self.signal.request != self.signal.request:
            asked = [name for name, value in vars(request).items() if value and not vars(self.signal.request)[name]]
            reason = f"keeps no {', '.join(asked)} of its teacher, which a loss asks for"
            remedy = "signal@teacher.signal=layers keeps states of layers; else use the source itself (teacher=live)"
            raise BadInput("teacher.signal", reason, value=type(self.signal).__name__, remedy=remedy)
        asked = list(samples(batch))
        found = self._found(asked)
        if found is None:
            with self.store.writing():  # which looks first at what others have written
                self.store.append(self._answered(batch, asked))
            found = self._found(asked)
        assert found is not None, "a row that was written a moment ago"
        return self.signal.read(found, [one.tokens for one in asked], self.room, self._head(), self._device)

    def fill(self, batches: Iterable[Batch]) -> Iterator[int]:
        """Ask ahead, a shard at a time; yields after each batch how many of its tokens are new.

        Stopped on the way, it keeps what was asked, and goes on from there when it is called again.
        """
        rows: list[Written] = []
        todo = iter(batches)
        done = False
        while not done:
            with self.store.writing():
                try:
                    done = yield from self._shard(todo, rows)
                finally:
                    self.store.append(rows)
                    rows.clear()

    def _shard(self, batches: Iterator[Batch], rows: list[Written]) -> "Iterator[int]":
        """Rows until there are enough for a shard; returns whether the batches have come to their end."""
        held = 0
        for batch in batches:
            known = {row.name for row in rows}
            new = [row for row in self._answered(batch, list(samples(batch))) if row.name not in known]
            rows += new
            held += sum(len(row.data) for row in new)
            yield sum(row.tokens for row in new)
            if held >= self.shard_bytes:
                return False
        return True

    def _found(self, asked: list[Asked]) -> list[memoryview] | None:
        """The rows of a batch; None if one is missing."""
        found = []
        for one in asked:
            row = self.store.read(one.span.name, one.check)
            if row is None:
                return None
            data, tokens = row
            assert tokens == one.tokens, "a name says how many tokens there are"
            found.append(data)
        return found

    def _answered(self, batch: Batch, asked: list[Asked]) -> list[Written]:
        """Rows of those samples of a batch that are not there, each once; one pass of the source if there are any."""
        missing = {one.span.name: one for one in asked if self.store.read(one.span.name, one.check) is None}
        if not missing:
            return []
        signal = self.exact.teach(batch, self.signal.request)
        if signal is None:
            raise BadInput("teacher.source", "has nothing to say that could be kept", remedy="choose another source")
        self.passes += 1
        if self.signal.headed:
            assert self.whole_head is not None  # written before the first row
        wanted = list(missing.values())
        data = self.signal.write(signal, [one.span for one in wanted], self.room)
        return [Written(a.span.name, a.check, a.tokens, d) for a, d in zip(wanted, data, strict=True)]

    def _head(self) -> Head | None:
        return self.whole_head.cut(self.vocabulary) if self.signal.headed else None

    @cached_property
    def whole_head(self) -> Head:
        """The source's head, written if it is not there or damaged: whole, for the shared part differs between runs."""
        with self.store.writing():
            told = self.store.head() or self._written_head()
        bias = None if told.bias is None else told.bias.to(self._device)
        return Head(told.weight.to(self._device), bias, told.scale, told.softcap)

    def _written_head(self) -> Head:
        model = self.exact.model
        if model is None:
            reason = "the source has no head to keep"
            raise BadInput("teacher.signal", reason, remedy="keep what it says: signal@teacher.signal=topk")
        self.store.keep_head(head(model))
        kept = self.store.head()
        assert kept is not None, "a head that was written a moment ago"
        return kept
