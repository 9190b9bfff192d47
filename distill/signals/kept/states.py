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
        states = Column(NUMPY[self.dtype], room.width)
        return [Column("<f4"), states] if self.dtype == "int8" else [states]

    @property
    def bound(self) -> float:
        return {"float32": 1e-4, "float16": 1e-2, "bfloat16": 6e-2, "int8": 0.5}[self.dtype]

    def bytes_per_token(self, room: Room) -> float:
        return sum(column.bytes for column in self.columns(room))

    def write(self, signal: Signal, spans: Sequence[Span], room: Room) -> list[bytes]:
        states = _states(signal)
        refuse_nan(states, spans)
        columns = self._rounded(states)
        return [joined(columns, span.start, span.stop) for span in spans]

    def read(
        self, rows: Sequence[memoryview], counts: Sequence[int], room: Room, head: Head | None, device: torch.device
    ) -> Signal:
        assert head is not None, "states without the head that they belong to"
        columns = [torch.from_numpy(column) for column in parted(self.columns(room), rows, counts)]
        states = self._restored(columns).to(device)
        return Hidden(states, head, Outputs(states, head))

    def _rounded(self, states: Tensor) -> list[np.ndarray]:
        if self.dtype == "int8":
            largest = states.float().abs().amax(-1)  # (N,)
            scale = torch.where(largest == 0, 1.0, largest)
            steps = (127 * states.float() / scale[:, None]).round().to(torch.int8)  # (N, D)
            return [scale.numpy(), steps.numpy()]
        rounded = states.to(getattr(torch, self.dtype))
        if rounded.isinf().any() and not states.isinf().any():
            largest = f"{states.abs().max().item():.3g}"
            reason = f"a state is too large for {self.dtype}"
            raise BadInput("teacher.signal.dtype", reason, value=largest, remedy="use bfloat16 or float32")
        bits = rounded.view(torch.int16) if self.dtype == "bfloat16" else rounded
        return [bits.numpy()]

    def _restored(self, columns: list[Tensor]) -> Tensor:
        """(N, D)."""
        if self.dtype == "int8":
            scale, steps = columns
            return steps.float() * (scale[:, None] / 127)
        (bits,) = columns
        return bits.view(torch.bfloat16) if self.dtype == "bfloat16" else bits


def _states(signal: Signal) -> Tensor:
    """(N, D) on the CPU."""
    if signal.outputs is None:
        reason = "the teacher has no final state to keep"
        raise BadInput("teacher.signal", reason, remedy="keep what it says: signal@teacher.signal=topk")
    return signal.outputs.hidden.detach().cpu()
