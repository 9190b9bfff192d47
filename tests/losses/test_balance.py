"""Balanced weights: terms that pull alike, whatever a batch is cut into, exactly as a checkpoint left them."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from distill.losses.balance import Balance, Balanced
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.loss import StateLoss
from distill.losses.objective import Objective
from distill.losses.pull import Seen, pull
from distill.losses.quantity import Quantity
from distill.losses.schedules import Constant
from distill.types import Outputs
from tests.losses.naive_pass import NOW, Scene, composed, part_of


class Straight(StateLoss):
    """size · Σ h: its gradient has a known norm."""

    needs = frozenset()

    def __init__(self, size: float, weight: float | Quantity = 1.0) -> None:
        super().__init__(weight)
        self.size = size

    def forward(self, outputs, signal, batch) -> Tensor:
        return self.size * outputs.hidden.sum(-1)


class Student(nn.Module):
    """h = 1 · w: one parameter of 5 numbers, seen at 7 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(5, dtype=torch.float64))

    def seen(self, scene: Scene) -> Seen:
        return Seen(Outputs(self.w.expand(scene.tokens, 5), scene.head), scene.signal, scene.batch, NOW)


def measured(objective: Objective, steps: int = 1, first: int = 0) -> Objective:
    """After so many steps, each looked at if it is due."""
    student, scene, balance = Student(), Scene(), Balance(objective)
    for step in range(first, first + steps):
        if balance.due(step):
            balance.add(student.seen(scene), [student.w])
        balance.close(step, scene.tokens, lambda tensor: tensor)
    return objective


def weights(objective: Objective) -> list[float]:
    return [
        float(loss.weight() if isinstance(loss.weight, Quantity) else loss.weight) for loss in objective.losses.values()
    ]


def plain(**given) -> Balanced:
    return Balanced(**{"every": 1, "momentum": 0.0, **given})


@pytest.mark.parametrize("ratio", [0.01, 1.0, 3.0, 250.0])
def test_two_terms_of_any_ratio_pull_alike_and_as_hard_as_before_together(ratio):
    got = weights(measured(Objective({"a": Straight(1.0, plain()), "b": Straight(ratio, plain())})))
    assert got == pytest.approx([(1 + ratio) / 2, (1 + ratio) / 2 / ratio])


def test_momentum_comes_to_the_same_end():
    got = weights(
        measured(Objective({"a": Straight(1.0, plain(momentum=0.7)), "b": Straight(4.0, plain(momentum=0.7))}), 60)
    )
    assert got == pytest.approx([2.5, 0.625])


@pytest.mark.parametrize("fixed", [0.5, Constant(0.5)])
def test_beside_a_fixed_weight_only_the_balanced_one_moves(fixed):
    losses = {"kd": Straight(8.0, plain()), "ce": Straight(2.0, fixed), "off": Straight(9.0, 0.0)}
    objective = Objective(losses)
    for part in objective.modules():
        if isinstance(part, Quantity):
            part.settle(NOW)
    assert weights(measured(objective))[:2] == pytest.approx([0.5 * 2.0 / 8.0, 0.5])


def test_of_two_fixed_terms_the_mean_pull_is_taken():
    losses = {"kd": Straight(10.0, plain()), "a": Straight(1.0), "b": Straight(3.0)}
    assert weights(measured(Objective(losses)))[0] == pytest.approx(0.2)


def test_alone_it_stays_what_it_is():
    assert weights(measured(Objective({"a": Straight(3.0, plain(initial=0.4))}), 5)) == pytest.approx([0.4])


def test_a_term_without_a_gradient_keeps_its_weight_and_counts_for_nobody():
    losses = {"flat": Straight(0.0, plain()), "a": Straight(1.0, plain()), "b": Straight(3.0, plain())}
    assert weights(measured(Objective(losses))) == pytest.approx([1.0, 2.0, 2 / 3])


def test_the_term_that_has_fallen_least_pulls_hardest():
    """GradNorm: w_i ‖g_i‖ is in proportion to (L_i / L_i at first)^α, its mean what it was."""
    slow, quick = plain(asymmetry=1.5), plain(asymmetry=1.5)
    losses = {"slow": Straight(1.0, slow), "quick": Straight(2.0, quick)}
    objective = measured(Objective(losses))
    assert weights(objective) == pytest.approx([1.5, 0.75])
    slow._first *= 1 / 0.8  # what it was, if it has fallen to 0.8
    quick._first *= 1 / 0.2
    pulls = [w * n for w, n in zip(weights(measured(objective)), (1.0, 2.0), strict=True)]
    assert pulls[0] / pulls[1] == pytest.approx((0.8 / 0.2) ** 1.5)
    assert sum(pulls) == pytest.approx(3.0)
    for _ in range(50):  # the pace is a ratio of shares: weights do not drift
        measured(objective)
    assert sum(w * n for w, n in zip(weights(objective), (1.0, 2.0), strict=True)) == pytest.approx(3.0)


def test_only_due_steps_are_measured():
    objective = Objective({"a": Straight(1.0, plain(every=3)), "b": Straight(3.0, plain(every=3))})
    assert weights(measured(objective, 2, first=1)) == [1.0, 1.0]
    assert weights(measured(objective, 1, first=3)) == pytest.approx([2.0, 2 / 3])


@pytest.mark.parametrize("cuts", [[3, 7], [2, 3, 6, 7]])
def test_micro_batches_and_ranks_change_nothing(cuts):
    """What is summed is the gradient, not its norm."""

    def made(pieces: list[slice]) -> tuple[Objective, Balance]:
        losses = {"kd": composed("loss", "forward_kl"), "ce": CrossEntropy(plain())}
        objective, scene = Objective(losses, temperature=2.0), Scene()
        balance = Balance(objective)
        for piece in pieces:
            outputs, signal, batch = part_of(scene, piece)
            balance.add(Seen(outputs, signal, batch, NOW), scene.leaves)
        return objective, balance

    whole, balance = made([slice(0, 7)])
    balance.close(0, 7, lambda tensor: tensor)
    edges = [0, *cuts]
    cut, pieces = made([slice(a, b) for a, b in itertools.pairwise(edges)])
    pieces.close(0, 7, lambda tensor: tensor)
    assert weights(cut) == pytest.approx(weights(whole), rel=1e-6)
    twice, half = made([slice(0, 7)])
    half.close(0, 14, lambda tensor: 2 * tensor)  # two ranks that saw the same
    assert weights(twice) == pytest.approx(weights(whole), rel=1e-6)


def test_a_pull_is_the_term_s_own_gradient_and_leaves_nothing_behind():
    scene = Scene()
    objective = Objective({"kd": composed("loss", "taid", ["loss.rate=0.1"]), "ce": CrossEntropy(3.0)})
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    told = pull(objective, "ce", Seen(scene.outputs, scene.signal, scene.batch, NOW), scene.leaves)
    assert told is not None
    own = nn.functional.cross_entropy(scene.hidden @ scene.weight.T, scene.batch.targets, reduction="sum")
    expected = torch.cat([part.flatten() for part in torch.autograd.grad(own, scene.leaves)])
    torch.testing.assert_close(told.gradient.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(told.value, own.detach())
    pull(objective, "kd", Seen(scene.outputs, scene.signal, scene.batch, NOW), scene.leaves)
    assert all(
        torch.equal(value.nan_to_num(), before[name].nan_to_num()) for name, value in objective.state_dict().items()
    )
    assert all(leaf.grad is None for leaf in scene.leaves)


def test_state_survives_a_round_trip_to_the_bit():
    def made() -> Objective:
        return Objective({"a": Straight(1.0, plain(asymmetry=0.5)), "b": Straight(3.0, plain(momentum=0.3))})

    one, two = measured(made(), 3), made()
    two.load_state_dict(one.state_dict())
    assert weights(two) == weights(one)
    assert weights(measured(two, 2)) == weights(measured(one, 2))
    assert not math.isnan(two.losses["a"].weight._first)


def test_no_cast_of_the_module_rounds_it():
    weight = (
        measured(Objective({"a": Straight(1.0, plain()), "b": Straight(3.1, plain())})).bfloat16().losses["a"].weight
    )
    assert weight() == pytest.approx(2.05, rel=1e-7)


def test_without_balanced_weights_there_is_nothing_to_do():
    balance = Balance(Objective({"a": Straight(1.0), "b": Straight(2.0, Constant(1.0))}))
    assert not any(balance.due(step) for step in range(20))
    balance.close(0, 7, lambda _: pytest.fail("nothing was measured"))


@pytest.mark.parametrize("name", ["balanced", "grad_norm"])
def test_the_choices(name):
    weight = composed("weight", name)
    assert isinstance(weight, Balanced)
    printed = Objective({"kd": CrossEntropy(weight)})
    assert "balanced every 10 steps" in str(printed)
    assert "eprint = {1711.02257}" in printed.citations()
