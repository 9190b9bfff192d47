"""One teacher before several students who are shown the same text: one pass of its body for all of them, and one
product with its head for each chunk of rows.

Each student has a ``Seat``, which is a teacher to its training and knows whose turn it is (``turns.py``). A question is
answered when every student has come to it. The answer, and within it the logits of one chunk, are kept until the next
question: they are read by all before anything is made anew, so nothing grows with the number of students.

A student that asks something else (another text, another chunk size) or once more is answered too, by itself: sharing
is never wrong, it only stops paying. Left out on purpose: log-probabilities shared at equal temperature (the compiled
rows make them inside one pass over logits, and never hold them); an alignment that moves signals shares the pass alone.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from distill.teachers.teacher import Teacher
from distill.teachers.turns import Turns
from distill.types import Batch, ModelShape, Moment, Outputs, Request, Signal, Spanned

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BEGIN, TEACH, CHUNK, ACCOUNT = range(4)
"""The places of a micro-step at which students come together, in their order."""


@dataclass(frozen=True)
class _Said:
    """The last answer and what was asked."""

    batch: Batch
    request: Request
    signal: Signal | None

    def answers(self, batch: Batch, request: Request) -> bool:
        return request | self.request == self.request and _same(batch, self.batch)


class Together:
    """A teacher whose last answer is kept for the students who have not heard it yet.

    Args:
        teacher: ready to be asked; what it answers must depend on the batch alone.
        students: how many there are; none is taught before all have sat down.
    """

    def __init__(self, teacher: Teacher, students: int) -> None:
        self.teacher, self.turns = teacher, Turns(students)
        self.seats = [Seat(self) for _ in range(students)]
        self._said: _Said | None = None
        self._chunk: tuple[Signal, slice, tuple[Tensor, ...]] | None = None

    def answer(self, batch: Batch, request: Request) -> Signal | None:
        """The teacher's word about a batch, asked only if it is not the last one."""
        if self._said is None or not self._said.answers(batch, request):
            whole = reduce(Request.__or__, (seat.request for seat in self.seats), request)
            self._chunk = None
            self._said = _Said(batch, whole, self.teacher.teach(batch, whole))
        return self._said.signal

    def chunk(self, signal: Signal, rows: slice) -> tuple[Tensor, ...]:
        """The teacher's tensors for some rows, made only if they are not the last ones."""
        if self._chunk is None or self._chunk[0] is not signal or self._chunk[1] != rows:
            self._chunk = (signal, rows, signal.chunk(rows))
        return self._chunk[2]

    def forget(self) -> None:
        """The last chunk is made anew for whoever asks next."""
        self._chunk = None


class Seat(Teacher):
    """The shared teacher as one student sees it; ``passes`` are those that were made in this student's turn.

    Attributes:
        request: what the student asked for beside final states, the last time.
    """

    provides: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, together: Together) -> None:
        self.together, self._turn = together, together.turns.turn()
        self.request = Request()
        self._place = (-1, 0)
        self.provides = together.teacher.provides  # pyright: ignore[reportAttributeAccessIssue]  (of this one)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Within, its student's training runs, in its turn; afterwards nobody waits for it."""
        with self._turn.taken():
            try:
                yield
            finally:
                self.request = Request()

    def follow(self, student: "PreTrainedModel", moment: Moment) -> None:
        """A micro-step begins: nobody begins it before those behind have come up, after a resumption for example."""
        step, before = self._place
        self._place = (moment.step, before + 1 if step == moment.step else 0)
        self._turn.wait((*self._place, BEGIN))

    def teach(self, batch: Batch, request: Request) -> Signal | None:
        self.request = request
        self._turn.wait((*self._place, TEACH))
        before = self.together.teacher.passes
        told = self.together.answer(batch, request)
        self.passes += self.together.teacher.passes - before
        return None if told is None else Heard(told, self)

    def chunk(self, signal: Signal, rows: slice) -> tuple[Tensor, ...]:
        """Some rows of an answer, once everybody has come to them."""
        self._turn.wait((*self._place, CHUNK, rows.start))
        return self.together.chunk(signal, rows)

    def account(self, temperature: float, outputs: Outputs | None = None) -> Mapping[str, float]:
        self._turn.wait((*self._place, ACCOUNT))
        self.together.forget()  # it may look at the answer, whose chunks lie in one buffer: nobody reads it any more
        return self.together.teacher.account(temperature, outputs)

    def foretell(self, tokens: int) -> tuple[str, ...]:
        return self.together.teacher.foretell(tokens)

    def size(self, student: ModelShape) -> ModelShape | None:
        return self.together.teacher.size(student)

    # ---------------------------------------------------------------------------------------------- as the teacher is

    @property
    def shape(self) -> ModelShape | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.together.teacher.shape

    @property
    def vocabulary(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.together.teacher.vocabulary

    @property
    def folder(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.together.teacher.folder

    @property
    def model(self) -> "PreTrainedModel | None":
        return self.together.teacher.model

    @property
    def fingerprint(self) -> str | None:
        return self.together.teacher.fingerprint

    @property
    def notes(self) -> tuple[str, ...]:
        return self.together.teacher.notes

    @property
    def exact(self) -> Teacher:
        return self.together.teacher.exact

    def to(self, device: torch.device) -> "Seat":
        self.together.teacher.to(device)
        return self


class Heard(Signal):
    """A signal whose chunks are made once for all students."""

    provides: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, told: Signal, seat: Seat) -> None:
        self._told, self._seat = told, seat
        self.provides, self.whole = told.provides, told.whole  # pyright: ignore[reportAttributeAccessIssue]  (its own)

    @property
    def outputs(self) -> Outputs | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._told.outputs

    def chunk(self, rows: slice) -> tuple[Tensor, ...]:
        return self._seat.chunk(self._told, rows)

    def pair(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        return self._told.pair(chunk, logits, temperature)

    def heard(self, chunk: tuple[Tensor, ...]) -> Tensor | None:
        return self._told.heard(chunk)

    def answers(self, chunk: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        return self._told.answers(chunk, targets)

    def at(self, rows: Tensor) -> Signal:
        return self._told.at(rows)

    @property
    def spanned(self) -> Spanned | None:
        return self._told.spanned


def _same(one: Batch, other: Batch) -> bool:
    """Whether a teacher would be shown the same and asked about the same."""
    if one.samples != other.samples or one.teacher_inputs.keys() != other.teacher_inputs.keys():
        return False
    return _equal(one.teacher_positions, other.teacher_positions) and all(
        _equal(value, other.teacher_inputs[name]) for name, value in one.teacher_inputs.items()
    )


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)
