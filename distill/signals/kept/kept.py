"""What every kind of stored signal is: the teacher's word about a sample as bytes, and bytes as the teacher's word.

A sample's bytes say what was heard at its supervised positions and nothing about the batch it stood in, so they can be
read in any company. Numbers lie column by column (all ids, then all values), which compresses better than one token
after the other. There is no object in them: a column is a dtype and a width, known from the store's own description.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from distill.errors import BadInput, NumericalStop
from distill.types import Head, Request, Signal

CHUNK = 256
"""Positions whose logits exist at once: the objective's own default, for another height may round otherwise."""


@dataclass(frozen=True)
class Span:
    """A sample in a batch: where its tokens begin and end among the N, and the name that it is stored by."""

    start: int
    stop: int
    name: bytes


@dataclass(frozen=True)
class Room:
    """What the sizes of a kind depend on: the vocabulary both sides share, the teacher's width and its layers."""

    vocabulary: int
    width: int
    layers: int = 0


class Kept(ABC):
    """A kind of signal on disk.

    Attributes:
        provides: which needs of a loss it answers.
        headed: the teacher's head is kept beside the rows, once; such rows do not depend on the shared vocabulary.
    """

    provides: ClassVar[frozenset[str]]
    headed: ClassVar[bool] = False

    @property
    def told(self) -> dict[str, object]:
        """Everything about it that changes a byte."""
        return {"kind": type(self).__name__, **vars(self)}

    @property
    def request(self) -> Request:
        """What it wants from the teacher beside the final state; whatever else a loss asks for is not kept."""
        return Request()

    @property
    def tied(self) -> float | None:
        """The only temperature at which it can be asked; None for every one."""
        return None

    @property
    def note(self) -> str:
        """What a person should know about losses that are made of it; empty if they are what they are called."""
        return ""

    @property
    @abstractmethod
    def bound(self) -> float:
        """How large ``gap`` may be; what the teacher itself says otherwise in other company comes on top of it."""

    def gap(self, kept: Signal, live: Signal, spans: Sequence[Span], room: Room) -> Tensor:
        """(N,) how far what is stored about each token is from what the teacher says now.

        Formula: max |log p_kept − log p_live| / max |log p_live| on the kept support, at its own temperature or 1

        Args:
            kept, live: both about the tokens of ``spans``, all N of them.
            spans, room: of what is stored.
        """
        found = []
        for rows, values in logits(live, max(span.stop for span in spans)):  # these stand in the student's place
            log_p, log_q = kept.pair(kept.chunk(rows), values, self.tied or 1.0)
            apart = torch.where(log_p == log_q, 0.0, (log_p - log_q).abs())  # −inf on both sides is no difference
            largest = torch.where(log_q.isinf(), 0.0, log_q).abs().amax(-1)
            found.append(apart.amax(-1) / torch.where(largest == 0, 1.0, largest))
        return torch.cat(found)

    @abstractmethod
    def bytes_per_token(self, room: Room) -> float:
        """Of a row, its name and checksums left out; of a kind without a fixed size, the most."""

    @abstractmethod
    def write(self, signal: Signal, spans: Sequence[Span], room: Room) -> list[bytes]:
        """The rows of some samples of a batch, in the order of ``spans``.

        Raises:
            BadInput: the signal does not say what is to be kept, or not in this dtype.
            NumericalStop: it says NaN.
        """

    @abstractmethod
    def read(
        self, rows: Sequence[memoryview], counts: Sequence[int], room: Room, head: Head | None, device: torch.device
    ) -> Signal:
        """The signal of samples one after the other.

        Args:
            rows: as ``write`` made them.
            counts: supervised tokens of each.
            room: as it was in ``write``, but for the vocabulary of a headed kind.
            head: of the teacher, cut to the shared vocabulary; of a headed kind only.
            device: where the signal is wanted.
        """


@dataclass(frozen=True)
class Column:
    """Numbers of one kind: ``width`` of ``dtype`` a token; width 0 is a single one, without an axis of its own."""

    dtype: str
    width: int = 0

    @property
    def bytes(self) -> int:
        return np.dtype(self.dtype).itemsize * max(self.width, 1)

    def empty(self, tokens: int) -> np.ndarray:
        return np.empty((tokens, self.width) if self.width else (tokens,), dtype=self.dtype)


def joined(columns: Sequence[np.ndarray], start: int, stop: int) -> bytes:
    """One sample's tokens of every column, one column after the other."""
    return b"".join(np.ascontiguousarray(column[start:stop]).tobytes() for column in columns)


def parted(columns: Sequence[Column], rows: Sequence[memoryview], counts: Sequence[int]) -> list[np.ndarray]:
    """The columns (N, …) of samples one after the other: ``joined`` undone."""
    tokens = sum(counts)
    made = [column.empty(tokens) for column in columns]
    first = 0
    for row, count in zip(rows, counts, strict=True):
        refuse_misshapen(len(row) == count * sum(column.bytes for column in columns))
        offset = 0
        for column, whole in zip(columns, made, strict=True):
            size = count * column.bytes
            part = np.frombuffer(row[offset : offset + size], dtype=column.dtype)
            whole[first : first + count] = part.reshape(whole[first : first + count].shape)
            offset += size
        first += count
    return made


def logits(signal: Signal, tokens: int) -> Iterator[tuple[slice, Tensor]]:
    """The teacher's logits, ``CHUNK`` positions at a time: (C, V), in a buffer that the next chunk may overwrite."""
    assert "logits" in signal.provides, "a teacher that speaks of its whole vocabulary"
    for start in range(0, tokens, CHUNK):
        rows = slice(start, min(start + CHUNK, tokens))
        (values,) = signal.chunk(rows)
        yield rows, values


def refuse_nan(values: Tensor, spans: Sequence[Span]) -> None:
    """Refuse to keep a NaN, which every run of a sweep would read.

    Args:
        values: (N, …).
    """
    broken = values.isnan().flatten(1).any(-1) if values.dim() > 1 else values.isnan()
    if broken.any():
        place = int(broken.int().argmax())
        name = next((span.name.hex()[:12] for span in spans if span.start <= place < span.stop), "unknown")
        raise NumericalStop(
            f"sample {name}", "the teacher says NaN, which is not kept", remedy="look at the teacher's weights"
        )


def refuse_misshapen(right: bool) -> None:
    """Refuse a row that no writer of ours has made: its checksum is good, so somebody meant it.

    Raises:
        BadInput: it is not ``right``.
    """
    if not right:
        raise BadInput(
            "teacher=stored",
            "a stored row has another size than its kind, or names a token beyond the vocabulary",
            remedy="find the store with distill cache info, and remove its folder",
        )


def id_type(vocabulary: int) -> str:
    """The smallest type that holds every id."""
    return "<u2" if vocabulary <= 1 << 16 else "<i4"
