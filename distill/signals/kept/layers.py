"""The teacher's states after chosen layers too: for losses that look inside (PKD, TinyBERT's states, contrastive ones).

Left out on purpose: attention weights, whose size grows with the text's length and which a fused teacher never holds,
and outputs of modules inside a layer: losses on them need a live teacher.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal, overload

import torch
from torch import Tensor

from distill.errors import BadInput
from distill.signals.hidden import Hidden
from distill.signals.kept.kept import Column, Kept, Room, Span, joined, parted, refuse_nan
from distill.signals.kept.states import BOUNDS, Dtype, answered, columns, distance, restored, rounded
from distill.types import Head, Outputs, Request, Signal


class KeptLayers(Kept):
    """Final states, the head once, and the states after chosen layers: losses on states run from the store.

    Formula: (1 + chosen) · D numbers a token, each state written as ``KeptStates`` writes one

    The last layer's state is the final one and is not written twice.

    Args:
        layers: of the teacher, counted from 0, −1 the last; ``all`` serves every map of student layers.
        embedding: keep the embedding's output, which ``loss=embedding`` reads.
        dtype: float32 gives back the teacher's own bits; the others round as in ``KeptStates``.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"logits", "hidden", "layers"})
    headed: ClassVar[bool] = True

    def __init__(
        self, layers: Literal["all"] | list[int] = "all", embedding: bool = False, dtype: Dtype = "float16"
    ) -> None:
        self.layers: Literal["all"] | list[int] = layers
        self.embedding = embedding
        self.dtype: Dtype = dtype

    @property
    def request(self) -> Request:
        return Request(layers=True)

    @property
    def bound(self) -> float:
        return BOUNDS[self.dtype]

    def places(self, room: Room) -> list[int]:
        """Which of the L + 1 states of a teacher are written, the final one (L) last.

        Raises:
            BadInput: the teacher has no such layer.
        """
        chosen = range(room.layers) if self.layers == "all" else self.layers
        for layer in chosen:
            if not -room.layers <= layer < room.layers:
                reason = f"the teacher has layers 0 to {room.layers - 1}"
                raise BadInput("teacher.signal.layers", reason, value=layer)
        inner = {layer % room.layers + 1 for layer in chosen} - {room.layers}
        return [*([0] if self.embedding else []), *sorted(inner), room.layers]

    def columns(self, room: Room) -> list[Column]:
        return columns(self.dtype, room.width) * len(self.places(room))

    def bytes_per_token(self, room: Room) -> float:
        return sum(column.bytes for column in self.columns(room))

    def write(self, signal: Signal, spans: Sequence[Span], room: Room) -> list[bytes]:
        made = []
        for state in self._states(answered(signal), room):
            refuse_nan(state, spans)
            made += rounded(state.detach().cpu(), self.dtype)
        return [joined(made, span.start, span.stop) for span in spans]

    def read(
        self, rows: Sequence[memoryview], counts: Sequence[int], room: Room, head: Head | None, device: torch.device
    ) -> Signal:
        assert head is not None, "states without the head that they belong to"
        places, parts = self.places(room), parted(self.columns(room), rows, counts)
        each = len(parts) // len(places)
        states = [restored(parts[i : i + each], self.dtype).to(device) for i in range(0, len(parts), each)]
        final = states[-1]
        return Hidden(final, head, Outputs(final, head, Chosen(dict(zip(places, states, strict=True)), room.layers)))

    def gap(self, kept: Signal, live: Signal, spans: Sequence[Span], room: Room) -> Tensor:
        pairs = zip(self._states(answered(kept), room), self._states(answered(live), room), strict=True)
        return torch.stack([distance(one, other) for one, other in pairs]).amax(0)

    def _states(self, outputs: Outputs, room: Room) -> list[Tensor]:
        *inner, _ = self.places(room)
        return [*(outputs.layers[place] for place in inner), outputs.hidden]


class Chosen(tuple[Tensor, ...]):
    """L + 1 states of which some are there; whoever asks for another is told.

    Args:
        kept: by place, the embedding's output first.
        layers: L.
    """

    kept: dict[int, Tensor]

    def __new__(cls, kept: dict[int, Tensor], layers: int) -> "Chosen":
        nothing = next(iter(kept.values()))[:0]
        made = super().__new__(cls, (kept.get(place, nothing) for place in range(layers + 1)))
        made.kept = kept
        return made

    @overload
    def __getitem__(self, place: int) -> Tensor: ...  # type: ignore[override]
    @overload
    def __getitem__(self, place: slice) -> tuple[Tensor, ...]: ...
    def __getitem__(self, place: int | slice) -> Tensor | tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        wanted = place % len(self)
        if wanted not in self.kept:
            name = "the embedding's output" if wanted == 0 else f"layer {wanted - 1}"
            more = "embedding=true" if wanted == 0 else f"layers=[…,{wanted - 1}], or all"
            raise BadInput(
                "teacher.signal",
                f"a loss asks for {name}, which is not kept",
                value=f"layers {', '.join(str(one - 1) for one in sorted(self.kept) if one)}",
                remedy=f"write teacher.signal.{more}; or use the source itself (teacher=live)",
            )
        return self.kept[wanted]
