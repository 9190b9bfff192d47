"""The elementwise part of the pass where every loss has a closed form: groups of terms for the compiled row kernel.

Terms of one temperature share a group, and so their exponentials. A group takes one mixture; a second β opens another.
Terms that are only measured get groups of their own without a gradient, so that they add nothing to it, bit for bit.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from distill.losses.closed import Closed

DATA, FORWARD, REVERSE, MIXTURE = range(4)
"""The kernel's four sums a row."""
GRADIENT = 8


class _Group(ctypes.Structure):
    """``Group`` of ``rows.cpp``."""

    _fields_ = (
        ("student", ctypes.c_float),
        ("teacher", ctypes.c_float),
        ("share", ctypes.c_float),
        ("asked", ctypes.c_int32),
        ("on", ctypes.c_float * 4),
    )


@dataclass
class _Open:
    """A group that is being filled: which terms ask it for which of its sums, and how often."""

    temperature: float
    active: bool
    share: float | None = None
    asked: list[tuple[int, int, float]] = field(default_factory=list)  # (term, sum, coefficient)

    def takes(self, closed: Closed, active: bool) -> bool:
        mixed = closed.form is not None and closed.form.mixture != 0
        fits = not mixed or self.share is None or self.share == closed.form.teacher_weight  # type: ignore[union-attr]
        return self.active == active and self.temperature == closed.temperature and fits

    def add(self, term: int, closed: Closed) -> None:
        form = closed.form
        if form is None:
            self.asked.append((term, DATA, 1.0))
            return
        for place, coefficient in ((FORWARD, form.forward), (REVERSE, form.reverse), (MIXTURE, form.mixture)):
            if coefficient != 0:
                self.asked.append((term, place, closed.scale * coefficient))
        if form.mixture != 0:
            self.share = form.teacher_weight


class Rows:
    """I terms with closed forms, the first ``active`` of which get a gradient.

    Args:
        terms: their closed forms.
        active: how many of them have a weight.
        scale: of the student's head.
        kernel: ``distill_rows``.
    """

    def __init__(self, terms: Sequence[Closed], active: int, scale: float, kernel: Callable[..., Any]) -> None:
        self._groups: list[_Open] = []
        for index, closed in enumerate(terms):
            self._place(index, closed, index < active)
        self._terms, self._scale, self._kernel = len(terms), scale, kernel
        self.hears = any(closed.form is not None for closed in terms)

    def _place(self, index: int, closed: Closed, active: bool) -> None:
        group = next((g for g in self._groups if g.takes(closed, active)), None)
        if group is None:
            group = _Open(closed.temperature, active)
            self._groups.append(group)
        group.add(index, closed)

    def slopes(
        self,
        raw: Tensor,
        teacher: Tensor | None,
        targets: Tensor,
        factors: Tensor,
        tokens: Tensor | None = None,
    ) -> Tensor:
        """Every term's sum over a chunk, and the gradient of sum_i factor_i · term_i written over ``raw``.

        Args:
            raw: (C, V) contiguous float32 on the CPU, the products before the head's scale.
            teacher: (C, V) the same, the teacher's logits; None where no term hears it.
            targets: (C,) int64, each below V.
            factors: (active,).
            tokens: (C,) weights of the tokens; None for 1.

        Returns:
            (I,) in the dtype of ``factors``.
        """
        rows, vocabulary = raw.shape
        weights = factors.detach().tolist()
        groups = (_Group * len(self._groups))(*(self._made(group, weights) for group in self._groups))
        sums = torch.zeros(rows, len(groups), 4, dtype=torch.float64)
        self._kernel(
            raw.data_ptr(),
            None if teacher is None else teacher.data_ptr(),
            targets.contiguous().data_ptr(),
            rows,
            vocabulary,
            groups,
            len(groups),
            sums.data_ptr(),
            torch.get_num_threads(),
        )
        if tokens is not None:
            _scale_rows(raw, sums, tokens)
        return self._told(sums.sum(0)).to(factors.dtype)

    def _made(self, group: _Open, weights: list[float]) -> _Group:
        student, teacher = self._scale / group.temperature, 1.0 / group.temperature
        on, asked = [0.0] * 4, GRADIENT if group.active else 0
        for term, place, coefficient in group.asked:
            asked |= 0 if place == DATA else 1 << (place - 1)
            if group.active:
                on[place] += weights[term] * coefficient * student
        return _Group(student, teacher, 0.5 if group.share is None else group.share, asked, (ctypes.c_float * 4)(*on))

    def _told(self, sums: Tensor) -> Tensor:
        """(groups, 4) -> (I,); a sum that a term does not ask for may be infinite, so it is not multiplied by 0."""
        told = torch.zeros(self._terms, dtype=torch.float64)
        for index, group in enumerate(self._groups):
            for term, place, coefficient in group.asked:
                told[term] += coefficient * sums[index, place]
        return told


def _scale_rows(raw: Tensor, sums: Tensor, tokens: Tensor) -> None:
    """Gradients (C, V) and sums (C, groups, 4) times the weights of their tokens, in place."""
    raw.mul_(tokens[:, None])
    sums.mul_(tokens.double()[:, None, None])
    silent = tokens == 0  # what weighs nothing is 0 even where it is undefined
    raw.masked_fill_(silent[:, None], 0.0)
    sums.masked_fill_(silent[:, None, None], 0.0)
