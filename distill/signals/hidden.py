"""A teacher's final state and its head: the whole vocabulary for D numbers a position.

The default signal. Logits are made for a chunk of positions when a loss asks for them and dropped again, so
no (N, V) tensor exists; they are exact at every temperature, where a top-K store is tied to the one it was
drawn at.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from distill.products import product, widened, working_dtype
from distill.signals.softening import pair
from distill.types import Head, Outputs, Signal


@dataclass(frozen=True)
class Hidden(Signal):
    """softmax(head(h) / T) over the whole vocabulary.

    Attributes:
        hidden: (N, D) final normalised state, any floating dtype.
        head: the teacher's, cut to the vocabulary it shares with the student.
        outputs: the whole answer that the two are from, where layers or attentions may be asked of it.
    """

    hidden: Tensor
    head: Head
    outputs: Outputs | None = None
    provides: ClassVar[frozenset[str]] = frozenset({"logits", "hidden"})
    whole: ClassVar[bool] = True
    _weight: Tensor = field(init=False, repr=False, compare=False)
    _room: list[Tensor] = field(init=False, repr=False, compare=False, default_factory=list)

    def __post_init__(self) -> None:
        # Widened once a signal: once a chunk would cost a tenth of the product itself.
        weight = self.head.weight.detach()
        object.__setattr__(self, "_weight", weight.to(working_dtype(self.hidden, weight)))

    def at(self, rows: Tensor) -> "Hidden":
        return Hidden(self.hidden[rows], self.head)

    def chunk(self, rows: slice) -> tuple[Tensor, ...]:
        """The logits of these positions, in a buffer that the next call overwrites: a fresh one costs its weight in
        page faults every time."""
        if not self.head.weight.shape[1]:
            return (self.head.logits(self.hidden[rows]),)
        states = self.hidden[rows].detach()  # (C, D)
        if not self._room or self._room[0].shape[0] < states.shape[0]:
            wide = widened(self._weight.dtype)
            self._room[:] = [states.new_empty(states.shape[0], self._weight.shape[0], dtype=wide)]  # (C, V)
        logits = product(states, self._weight.T, out=self._room[0][: states.shape[0]])
        if self.head.bias is not None:
            logits += self.head.bias.detach()
        return (self.head.shaped(logits),)

    def pair(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        (teacher,) = chunk
        return pair(teacher, logits, temperature)
