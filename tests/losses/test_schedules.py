"""Schedules: their shapes, and that they reach whatever number they stand for."""

import itertools

import pytest
import torch

from distill.losses.cross_entropy import CrossEntropy
from distill.losses.objective import Objective
from distill.losses.schedules import Constant, Cosine, Exponential, Linear, Phases, Step
from distill.types import Moment
from tests.losses.naive_pass import CONF, Scene, close, composed, gradients, run

NAMES = sorted(file.stem for file in (CONF / "weight").glob("*.yaml"))


def test_shapes():
    assert [Linear(1, 3, over=0.5).at(p) for p in (0, 0.25, 0.5, 1)] == [1, 2, 3, 3]
    assert [round(Cosine(1, 0).at(p), 12) for p in (0, 0.5, 1)] == [1, 0.5, 0]
    assert Exponential(1, 0.01).at(0.5) == pytest.approx(0.1)
    assert [Step([1, 2, 3], [0.2, 0.6]).at(p) for p in (0, 0.19, 0.2, 0.6, 1)] == [1, 1, 2, 3, 3]
    phases = Phases([Linear(0, 1), Constant(5), Linear(1, 0)], [0.2, 0.6])
    assert [round(phases.at(p), 12) for p in (0, 0.1, 0.2, 0.5, 0.6, 0.8, 1)] == [0, 0.5, 5, 5, 1, 0.5, 0]


@pytest.mark.parametrize("make", [lambda: Step([1.0], [0.5]), lambda: Phases([Constant(1)], [0.1, 0.2])])
def test_values_must_be_one_more_than_moments(make):
    with pytest.raises(ValueError, match="one more than moments"):
        make()


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_can_be_chosen_on_the_command_line(name):
    """``+weight@objective.losses.kd.weight=NAME`` replaces the number."""
    objective = composed("objective", "hinton", [f"+weight@objective.losses.kd.weight={name}"])
    scene = Scene()
    for step in range(3):
        weighed = objective(scene.outputs, scene.signal, scene.batch, Moment(step, 3))
        assert weighed.total.isfinite()
    assert objective.losses["kd"].weight.formula() in str(objective)


def test_a_scheduled_weight_is_the_number_of_its_moment():
    scene, scheduled = Scene(), Objective({"kd": composed("loss", "forward_kl"), "ce": CrossEntropy(Linear(0, 1))})
    for step in (0, 3, 10):
        ours = scheduled(scene.outputs, scene.signal, scene.batch, Moment(step, 11))
        fixed = Objective({"kd": composed("loss", "forward_kl"), "ce": CrossEntropy(step / 10)})
        theirs = fixed(scene.outputs, scene.signal, scene.batch, Moment(step, 11))
        close(gradients(ours.total, scene.leaves), gradients(theirs.total, scene.leaves), 1e-14)
        assert torch.equal(ours.terms["ce"], theirs.terms["ce"])


def test_a_weight_that_has_come_to_zero_is_off():
    scene = Scene(dtype=torch.float32)
    objective = Objective({"kd": composed("loss", "forward_kl"), "ce": CrossEntropy()})
    objective.losses["kd"].weight = Linear(1.0, 0.0, over=0.5)
    late = objective(scene.outputs, None, scene.batch, Moment(10, 11))  # needs no teacher any more
    assert torch.equal(late.total, run(Objective({"ce": CrossEntropy()}), scene).total)


def test_temperature_and_a_divergence_s_own_number_follow_too():
    scene = Scene()
    objective = composed(
        "objective",
        "jensen_shannon",
        [
            "+weight@objective.temperature=linear",
            "objective.temperature.start=1.0",
            "objective.temperature.end=3.0",
            "+weight@objective.losses.kd.scheduled.teacher_weight=linear",
            "objective.losses.kd.scheduled.teacher_weight.start=0.1",
            "objective.losses.kd.scheduled.teacher_weight.end=0.9",
            "objective.losses.kd.temperature_squared=false",
        ],
    )
    for step in (0, 5, 10):
        ours = objective(scene.outputs, scene.signal, scene.batch, Moment(step, 11))
        weight = 0.1 + 0.8 * step / 10
        plain = composed("loss", "jensen_shannon", [f"loss.divergence.teacher_weight={weight}"])
        plain.temperature_squared = False
        theirs = run(Objective({"kd": plain}, temperature=1 + 2 * step / 10), scene)
        close([ours.terms["kd"]], [theirs.terms["kd"]], 1e-12)
        close(gradients(ours.total, scene.leaves), gradients(theirs.total, scene.leaves), 1e-12)


def test_casting_the_module_does_not_round_a_schedule():
    objective = Objective({"ce": CrossEntropy(Linear(0.0, 1.0))}).to(torch.bfloat16)
    weight = objective.losses["ce"].weight
    for step in range(11):
        weight.settle(Moment(step, 11))
        assert weight().item() == step / 10


def test_steps_are_spread_over_the_whole_training():
    shares = [Moment(step, 5).progress for step in range(5)]
    assert shares == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert all(early < late for early, late in itertools.pairwise(shares))
