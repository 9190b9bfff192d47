"""The teacher's final state at every supervised position, and its head once: the default."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from distill.errors import BadInput
from distill.signals.hidden import Hidden
from distill.signals.kept.kept import Column, Kept, Room, Span, joined, parted, refuse_nan
from distill.types import Head, Outputs, Signal

Dtype = Literal["float32", "float16", "bfloat16", "int8"]
NUMPY = {"float32": "<f4", "float16": "<f2", "bfloat16": "<i2", "int8": "i1"}
"""numpy has no bfloat16: its bits lie as 16-bit integers."""
BOUNDS = {"float32": 0.0, "float16": 1e-3, "bfloat16": 8e-3, "int8": 4e-3}
"""How far a number may be from the teacher's, in units of the largest of its token: twice 2⁻¹¹, twice 2⁻⁸, 1/254."""


class KeptStates(Kept):
    """Final states and the head once: exact to rounding at every temperature, for every divergence.

    Formula: D numbers a token; of int8, round(127 h / s) and s = max |h| of the token in float32

    Args:
        dtype: float32 gives back the teacher's own bits; float16 errs by 2⁻¹¹ of each number, bfloat16 by 2⁻⁸, int8
            by 1/254 of the token's largest.

    An architecture with one state far larger than the rest is kept better in bfloat16 than in int8.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"logits", "hidden"})
    headed: ClassVar[bool] = True

    def __init__(self, dtype: Dtype = "float16") -> None:
        self.dtype: Dtype = dtype

    def columns(self, room: Room) -> list[Column]:
        return columns(self.dtype, room.width)

    @property
    def bound(self) -> float:
        return BOUNDS[self.dtype]

    def bytes_per_token(self, room: Room) -> float:
        return sum(column.bytes for column in self.columns(room))

    def write(self, signal: Signal, spans: Sequence[Span], room: Room) -> list[bytes]:
        states = answered(signal).hidden.detach().cpu()  # (N, D)
        refuse_nan(states, spans)
        made = rounded(states, self.dtype)
        return [joined(made, span.start, span.stop) for span in spans]

    def read(
        self, rows: Sequence[memoryview], counts: Sequence[int], room: Room, head: Head | None, device: torch.device
    ) -> Signal:
        assert head is not None, "states without the head that they belong to"
        states = restored(parted(self.columns(room), rows, counts), self.dtype).to(device)
        return Hidden(states, head, Outputs(states, head))

    def gap(self, kept: Signal, live: Signal, spans: Sequence[Span], room: Room) -> Tensor:
        return distance(answered(kept).hidden, answered(live).hidden)


def columns(dtype: Dtype, width: int) -> list[Column]:
    """What states of a width are written as."""
    states = Column(NUMPY[dtype], width)
    return [Column("<f4"), states] if dtype == "int8" else [states]


def rounded(states: Tensor, dtype: Dtype) -> list[np.ndarray]:
    """(N, D) as the columns of a dtype.

    Raises:
        BadInput: a state is too large for it.
    """
    if dtype == "int8":
        largest = states.float().abs().amax(-1)  # (N,)
        scale = torch.where(largest == 0, 1.0, largest)
        steps = (127 * states.float() / scale[:, None]).round().to(torch.int8)  # (N, D)
        return [scale.numpy(), steps.numpy()]
    made = states.to(getattr(torch, dtype))
    if made.isinf().any() and not states.isinf().any():
        largest = f"{states.abs().max().item():.3g}"
        reason = f"a state is too large for {dtype}"
        raise BadInput("teacher.signal.dtype", reason, value=largest, remedy="use bfloat16 or float32")
    return [(made.view(torch.int16) if dtype == "bfloat16" else made).numpy()]


def restored(written: Sequence[np.ndarray], dtype: Dtype) -> Tensor:
    """(N, D) of the columns that ``rounded`` made."""
    if dtype == "int8":
        scale, steps = (torch.from_numpy(column) for column in written)
        return steps.float() * (scale[:, None] / 127)
    (bits,) = (torch.from_numpy(column) for column in written)
    return bits.view(torch.bfloat16) if dtype == "bfloat16" else bits


def distance(one: Tensor, other: Tensor) -> Tensor:
    """(N, D) x (N, D) -> (N,), the largest difference in units of the token's largest number in ``other``."""
    largest = other.float().abs().amax(-1)
    return (one.float() - other.float()).abs().amax(-1) / torch.where(largest == 0, 1.0, largest)


def answered(signal: Signal) -> Outputs:
    """What the teacher's model holds at the tokens."""
    if signal.outputs is None:
        reason = "the teacher has no final state to keep"
        raise BadInput("teacher.signal", reason, remedy="keep what it says: signal@teacher.signal=topk")
    return signal.outputs
