"""Every token's logit: for teachers that have no head of their own, and for whoever has the disk."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch

from distill.signals.dense import Dense
from distill.signals.kept.kept import Column, Kept, Room, Span, joined, logits, parted, refuse_nan
from distill.types import Head, Signal


class KeptLogits(Kept):
    """All logits: V numbers a token, 85 times as many as the final states of a 135M model.

    Formula: float32: z; float16: z − max z, so that the likeliest tokens, near 0, lose least

    Args:
        dtype: float32 gives back the teacher's own bits; float16 errs by 2⁻¹¹ of a token's distance to the likeliest.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(self, dtype: Literal["float32", "float16"] = "float16") -> None:
        self.dtype: Literal["float32", "float16"] = dtype

    def columns(self, room: Room) -> list[Column]:
        return [Column("<f4" if self.dtype == "float32" else "<f2", room.vocabulary)]

    @property
    def bound(self) -> float:
        return {"float32": 0.0, "float16": 1e-3}[self.dtype]

    def bytes_per_token(self, room: Room) -> float:
        return sum(column.bytes for column in self.columns(room))

    def write(self, signal: Signal, spans: Sequence[Span], room: Room) -> list[bytes]:
        tokens = max(span.stop for span in spans)
        (column,) = self.columns(room)
        whole = column.empty(tokens)  # (N, V)
        for rows, values in logits(signal, tokens):
            refuse_nan(values, [Span(s.start - rows.start, s.stop - rows.start, s.name) for s in spans])
            shifted = values if self.dtype == "float32" else values - values.amax(-1, keepdim=True)
            whole[rows] = shifted.to(getattr(torch, self.dtype)).cpu().numpy()
        return [joined([whole], span.start, span.stop) for span in spans]

    def read(
        self, rows: Sequence[memoryview], counts: Sequence[int], room: Room, head: Head | None, device: torch.device
    ) -> Signal:
        (whole,) = parted(self.columns(room), rows, counts)
        return Dense(torch.from_numpy(whole).to(device))
