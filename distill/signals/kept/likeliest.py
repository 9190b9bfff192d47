"""The K likeliest tokens of every position, with all others in one bucket."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np
import torch

from distill.errors import BadInput
from distill.ranges import Count, Positive
from distill.signals.kept.kept import (
    Column,
    Kept,
    Room,
    Span,
    id_type,
    joined,
    logits,
    parted,
    refuse_misshapen,
    refuse_nan,
)
from distill.signals.topk import TopK
from distill.types import Head, Signal


class KeptTopK(Kept):
    """Top-K with a tail bucket: small below K = D / 2, a lower bound of every divergence, tied to one temperature.

    Formula: K ids of 2 or 4 bytes, K log-probabilities, log (1 − Σ p_k) in float32

    Args:
        k: tokens kept; all of them if the vocabulary is smaller.
        temperature: at which the probabilities are taken; the only one at which a loss may ask.
        dtype: of the log-probabilities.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"topk"})

    def __init__(
        self, k: Count = 64, temperature: Positive = 1.0, dtype: Literal["float32", "float16"] = "float16"
    ) -> None:
        self.k, self.temperature = k, float(temperature)
        self.dtype: Literal["float32", "float16"] = dtype

    def columns(self, room: Room) -> list[Column]:
        k = min(self.k, room.vocabulary)
        return [
            Column(id_type(room.vocabulary), k),
            Column("<f4" if self.dtype == "float32" else "<f2", k),
            Column("<f4"),
        ]

    @property
    def tied(self) -> float:
        return self.temperature

    @property
    def note(self) -> str:
        return f"the teacher says its {self.k} likeliest tokens and one bucket: a divergence is a lower bound of itself"

    @property
    def bound(self) -> float:
        return {"float32": 1e-5, "float16": 1e-3}[self.dtype]

    def gap(self, kept: Signal, live: Signal, spans: Sequence[Span], room: Room) -> torch.Tensor:
        """Of a teacher that tells only its likeliest tokens: the same ones, or 1; and how far their log p are apart."""
        if "logits" in live.provides:
            return super().gap(kept, live, spans, room)
        rows = [memoryview(row) for row in self.write(live, spans, room)]
        again = self.read(rows, [span.stop - span.start for span in spans], room, None, torch.device("cpu"))
        whole = slice(0, max(span.stop for span in spans))
        (ids, log_p), (others, log_q) = ([part.cpu() for part in one.chunk(whole)] for one in (kept, again))
        apart = torch.where(log_p == log_q, 0.0, (log_p - log_q).abs()).amax(-1)
        largest = torch.where(log_q.isinf(), 0.0, log_q).abs().amax(-1)
        return torch.where((ids == others).all(-1), apart / torch.where(largest == 0, 1.0, largest), 1.0)

    def bytes_per_token(self, room: Room) -> float:
        return sum(column.bytes for column in self.columns(room))

    def write(self, signal: Signal, spans: Sequence[Span], room: Room) -> list[bytes]:
        tokens = max(span.stop for span in spans)
        made = [column.empty(tokens) for column in self.columns(room)]
        for rows, top in self._found(signal, spans, tokens, room):
            for whole, part in zip(made, (top.ids, top.values, top.tail), strict=True):
                whole[rows] = part.cpu().numpy()
        return [joined(made, span.start, span.stop) for span in spans]

    def _found(self, signal: Signal, spans: Sequence[Span], tokens: int, room: Room) -> Iterator[tuple[slice, TopK]]:
        if "topk" in signal.provides:
            yield slice(0, tokens), self._fewer(signal, tokens, room)
            return
        for rows, values in logits(signal, tokens):
            refuse_nan(values, [Span(s.start - rows.start, s.stop - rows.start, s.name) for s in spans])
            yield rows, TopK.of(values, self.k, self.temperature)

    def _fewer(self, signal: Signal, tokens: int, room: Room) -> TopK:
        """Of a teacher that tells its likeliest tokens itself: those that are kept, the others in the bucket."""
        ids, log_p = signal.chunk(slice(0, tokens))  # (N, K'), (N, K' + 1), likeliest first
        k = min(self.k, room.vocabulary)
        if ids.shape[1] < k:
            reason = f"the teacher tells {ids.shape[1]} tokens of a position"
            remedy = f"write teacher.signal.k={ids.shape[1]}, or raise teacher.source.k"
            raise BadInput("teacher.signal.k", reason, value=self.k, remedy=remedy)
        return TopK(ids[:, :k], log_p[:, :k], log_p[:, k:].logsumexp(-1), self.temperature, room.vocabulary)

    def read(
        self, rows: Sequence[memoryview], counts: Sequence[int], room: Room, head: Head | None, device: torch.device
    ) -> Signal:
        ids, values, tail = parted(self.columns(room), rows, counts)
        refuse_misshapen(not ids.size or (int(ids.min()) >= 0 and int(ids.max()) < room.vocabulary))
        return TopK(
            torch.from_numpy(ids.astype(np.int64)).to(device),
            torch.from_numpy(values).to(device),
            torch.from_numpy(tail).to(device),
            self.temperature,
            room.vocabulary,
        )
