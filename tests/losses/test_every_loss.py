"""What every choice of ``conf/loss`` promises, between two real models, found by looking: C1, C4, C5 and C7.

``test_objective``, ``test_vocabulary`` and ``test_undefined`` try the losses of the one pass on logits made by hand,
``test_states`` those beside it; here all of them stand in one list, so that none can fall between.

Left out, and why: ``cross_entropy`` of C7 (it hears no teacher); of C1, maps of −inf (a softmax gives none) and the
slope of ``standardised_kl`` at logits that are all alike in float16 (1/ε, more than it holds; the step refuses what is
not finite). ``sampled_cross_entropy`` is not left out: it is
tried on a teacher of the whole vocabulary, of which draws are an estimate; ``tests/signals`` has its draws.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from distill.errors import BadInput, NumericalStop
from distill.losses.loss import Loss
from distill.losses.objective import Objective
from distill.signals.hidden import Hidden
from distill.types import Batch, Outputs
from tests.losses.naive_pass import NOW, composed, losses_of_text, vocabulary_losses
from tests.losses.state_scene import PACKED, Pair, batch_of, slopes, state_losses

ALL = losses_of_text()
TAUGHT = [name for name in ALL if composed("loss", name).asks]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
TOKEN = 6
"""The supervised token that is spoilt."""


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair.made()


def objective(pair: Pair, name: str) -> Objective:
    return Objective({"kd": pair.prepared(composed("loss", name))}, temperature=2.0, chunk=3)


def test_none_falls_between_the_other_files():
    assert sorted(vocabulary_losses() + state_losses()) == ALL
    assert set(ALL) - set(TAUGHT) == {"cross_entropy"}


# ------------------------------------------------------------------------------------------------------- C1, in words


@dataclass
class Answers:
    """What both models said, as leaves of a precision, to be spoilt."""

    student: Outputs
    teacher: Outputs
    batch: Batch

    @classmethod
    def of(cls, pair: Pair, loss: Loss, dtype: torch.dtype) -> "Answers":
        batch = batch_of(PACKED)
        outputs, signal = pair.answers(loss, batch)
        assert signal.outputs is not None
        return cls(_leaves(outputs, dtype, True), _leaves(signal.outputs, dtype, False), batch)

    @property
    def read(self) -> list[Tensor]:
        """The student's leaves."""
        side = self.student
        return [side.hidden, side.head.weight, side.head.bias, *side.layers, *side.attentions, *side.modules.values()]  # type: ignore[list-item]

    def outcome(self, loss: Loss) -> NumericalStop | list[Tensor]:
        """The gradients, or the error."""
        signal = Hidden(self.teacher.hidden, self.teacher.head, self.teacher)
        try:
            total = Objective({"kd": loss}, temperature=2.0, chunk=3)(self.student, signal, self.batch, NOW).total
        except NumericalStop as stop:
            return stop
        assert total.isfinite()
        learned = [parameter for parameter in loss.parameters() if parameter.requires_grad]
        found = torch.autograd.grad(total, [*self.read, *learned], allow_unused=True)
        return [gradient for gradient in found if gradient is not None]


def _leaves(side: Outputs, dtype: torch.dtype, gradient: bool) -> Outputs:
    def leaf(tensor: Tensor) -> Tensor:
        return tensor.detach().clone().to(dtype).requires_grad_(gradient)

    bias = torch.zeros(side.head.vocabulary)
    return replace(
        side,
        hidden=leaf(side.hidden),
        head=replace(side.head, weight=leaf(side.head.weight), bias=leaf(bias)),
        layers=tuple(map(leaf, side.layers)),
        attentions=tuple(map(leaf, side.attentions)),
        modules={path: leaf(made) for path, made in side.modules.items()},
    )


def everywhere(value: float) -> Callable[[Outputs, Batch], None]:
    """All that a model says of the token."""

    def spoil(side: Outputs, batch: Batch) -> None:
        for told in (side.hidden, *side.layers, *side.attentions):
            told[TOKEN] = value
        for made in side.modules.values():
            made.flatten(0, 1)[batch.positions[TOKEN]] = value

    return spoil


def excluded(side: Outputs, batch: Batch) -> None:
    """An id that never comes is impossible."""
    assert side.head.bias is not None
    side.head.bias[0] = -math.inf


def faint(side: Outputs, batch: Batch) -> None:
    """Nobody looks anywhere but at the first key; half precision rounds such maps to 0 all the time."""
    for attention in side.attentions:
        attention[..., 1:] = 0.0


INJECTIONS: dict[str, dict[str, Callable[[Outputs, Batch], None]]] = {
    **{
        f"{side} {value}": {side: everywhere(value)}
        for side in ("student", "teacher")
        for value in (math.nan, math.inf, -math.inf, 0.0)
    },
    "both exclude": {"student": excluded, "teacher": excluded},
    "student excludes": {"student": excluded},
    "teacher excludes": {"teacher": excluded},
    "maps of zeros": {"student": faint, "teacher": faint},
}


DEFINED = ("both exclude", "maps of zeros", "student 0.0", "teacher 0.0")
"""What the mathematics gives a number for, whatever the loss."""


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize("name", ALL)
def test_finite_with_finite_gradients_or_named(pair, name, injection, dtype):
    """C1: never a silent NaN; what both sides agree upon is defined, what is no number is not."""
    if (name, injection, dtype) == ("standardised_kl", "student 0.0", torch.float16):
        pytest.skip("its slope there is 1/ε")
    if name.startswith("attention") and injection.endswith("-inf"):
        pytest.skip("a softmax gives no −inf")
    loss = pair.prepared(composed("loss", name))
    answers = Answers.of(pair, loss, dtype)
    with torch.no_grad():
        for side, spoil in INJECTIONS[injection].items():
            spoil(getattr(answers, side), answers.batch)
    made = answers.outcome(loss)
    if isinstance(made, NumericalStop):
        assert made.code == 3
        assert str(made).startswith("sample ")
        assert injection not in DEFINED, str(made)
    else:
        assert all(gradient.isfinite().all() for gradient in made)
        assert not injection.endswith("nan") or (injection == "teacher nan" and name not in TAUGHT)


# ----------------------------------------------------------------------------------------- C4, C5, C7, on whole models


def total(pair: Pair, made: Objective, batch: Batch) -> Tensor:
    return pair.weighed(made, batch).total


def close(left: Tensor, right: Tensor, relative: float) -> None:
    assert torch.linalg.norm(left - right) <= relative * torch.linalg.norm(right)


@pytest.mark.parametrize("pieces", [2, 4])
@pytest.mark.parametrize("name", ALL)
def test_cutting_into_micro_batches_changes_nothing(pair, name, pieces):
    """C4: one denominator, rows of unequal length, the gradient on every weight of the student."""
    rows, made = [(2,), (0, 1), (5,), (3, 4)], objective(pair, name)
    whole = slopes(total(pair, made, batch_of(rows)), pair.student)
    size = len(rows) // pieces
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    close(
        sum((slopes(total(pair, made, batch_of(part)), pair.student) for part in parts), torch.zeros(())), whole, 1e-5
    )


@pytest.mark.parametrize("name", ALL)
def test_what_nobody_supervises_does_not_leak_in(pair, name):
    """C5: padding, and whatever stands in it."""
    made, padded = objective(pair, name), batch_of(PACKED, 9)
    plain = slopes(total(pair, made, batch_of(PACKED)), pair.student)
    close(slopes(total(pair, made, padded), pair.student), plain, 1e-5)
    ids = padded.inputs["input_ids"].clone()
    ids[:, -9:] = torch.arange(9) + 31
    other = {**padded.inputs, "input_ids": ids}
    filled = replace(padded, inputs=other, teacher_inputs=other)
    assert torch.equal(total(pair, made, filled), total(pair, made, padded))


@pytest.mark.parametrize("name", TAUGHT)
def test_distillation_is_really_on(pair, name):
    """C7: another teacher, or what it said of other tokens, moves the loss; without one it is refused."""
    made, batch = objective(pair, name), batch_of(PACKED)
    loss = made.losses["kd"]
    outputs, signal = pair.answers(loss, batch)
    value = made(outputs, signal, batch, NOW).total
    swapped = Pair(pair.student, Pair.made(seed=5).teacher)
    assert (total(swapped, made, batch) - value).abs() > 1e-4
    assert signal.outputs is not None
    told = signal.outputs
    rolled = replace(
        told,
        hidden=told.hidden.roll(1, 0),
        layers=tuple(state.roll(1, 0) for state in told.layers),
        attentions=tuple(state.roll(1, -1) for state in told.attentions),
        modules={path: made.roll(1, 1) for path, made in told.modules.items()},
    )
    assert (made(outputs, Hidden(rolled.hidden, rolled.head, rolled), batch, NOW).total - value).abs() > 1e-4
    with pytest.raises(BadInput, match=r"objective\.losses\.kd"):
        made(outputs, None, batch, NOW)


@pytest.mark.parametrize("name", ["hidden_cosine", "patient", "contrastive", "relational_angle", "relational_distance"])
def test_where_there_is_no_direction_there_is_no_slope(pair, name):
    """States of length 0, or all the same: a steep line through 0 would throw the student away."""
    loss = pair.prepared(composed("loss", name, ["loss.layers=final"]))
    answers = Answers.of(pair, loss, torch.float32)
    with torch.no_grad():
        answers.student.hidden.zero_()
    made = answers.outcome(loss)
    assert isinstance(made, list)
    assert all(gradient.abs().max() == 0 for gradient in made)
