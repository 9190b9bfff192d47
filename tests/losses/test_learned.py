"""Learned numbers: whose gradient goes which way."""

import math

import pytest
import torch

from distill.losses.cross_entropy import CrossEntropy
from distill.losses.learned import CurriculumTemperature, Uncertainty
from distill.losses.objective import Objective
from distill.types import Moment
from tests.losses.naive_pass import Scene, close, composed, gradients, run


def slope_of(temperature: CurriculumTemperature, scene: Scene, moment: Moment) -> tuple[float, float]:
    """(gradient on w, derivative of the loss by w)."""
    objective = Objective({"kd": composed("loss", "forward_kl")}, temperature=temperature, chunk=3)
    total = objective(scene.outputs, scene.signal, scene.batch, moment).total
    (got,) = torch.autograd.grad(total, [temperature.position])

    def value(w: float) -> float:
        tau = temperature.lowest + temperature.span / (1 + math.exp(-w))
        fixed = Objective({"kd": composed("loss", "forward_kl")}, temperature=tau)
        return fixed(scene.outputs, scene.signal, scene.batch, moment).total.item()

    return got.item(), (value(1.0 + 1e-5) - value(1.0 - 1e-5)) / 2e-5


@pytest.mark.parametrize(("step", "strength"), [(0, 0.0), (25, 0.5), (50, 1.0), (100, 1.0)])
def test_curriculum_climbs_where_the_student_descends(step, strength):
    """CTKD: the gradient on w is −λ times the true one; λ grows from 0 to 1 over the first half."""
    temperature = CurriculumTemperature(over=0.5)
    got, true = slope_of(temperature, Scene(), Moment(step, 101))
    assert true != 0
    assert got == pytest.approx(-strength * true, rel=1e-5, abs=1e-9)


def test_curriculum_value_is_the_formula_whatever_the_strength():
    temperature = CurriculumTemperature()
    for step in (0, 7, 100):
        temperature.settle(Moment(step, 101))
        assert temperature().item() == pytest.approx(1 + 20 / (1 + math.exp(-1)), rel=1e-6)


def test_curriculum_leaves_the_student_s_gradient_alone():
    scene, temperature = Scene(), CurriculumTemperature()
    tau = 1 + 20 / (1 + math.exp(-1))
    learned = Objective({"kd": composed("loss", "forward_kl")}, temperature=temperature)
    fixed = Objective({"kd": composed("loss", "forward_kl")}, temperature=tau)
    ours, theirs = run(learned, scene).total, run(fixed, scene).total
    close(gradients(ours, scene.leaves), gradients(theirs, scene.leaves), 1e-6)  # w is float32


def test_parameters_of_the_objective_are_what_it_learns():
    objective = Objective(
        {"kd": composed("loss", "forward_kl"), "ce": CrossEntropy(Uncertainty())}, temperature=CurriculumTemperature()
    )
    assert {name for name, _ in objective.named_parameters()} == {
        "terms.loss/ce.weight.log_variance",
        "temperature.position",
    }
    assert "arXiv" in objective.citations()
    assert "eprint = {2211.16231}" in objective.citations()
    assert "eprint = {1705.07115}" in objective.citations()


def test_uncertainty_is_its_formula_and_rests_where_every_term_pulls_alike():
    scene, weight = Scene(), Uncertainty(0.3)
    weighed = run(Objective({"ce": CrossEntropy(weight)}, chunk=3), scene)
    s, term = weight.log_variance, weighed.terms["ce"]
    expected = (-s).exp() * term + scene.tokens * s / 2
    torch.testing.assert_close(weighed.total.detach(), expected.detach(), rtol=1e-6, atol=0)
    (got,) = torch.autograd.grad(weighed.total, [weight.log_variance])
    (true,) = torch.autograd.grad(expected, [s])
    torch.testing.assert_close(got, true, rtol=1e-5, atol=0)
    at_rest = Uncertainty(1 / (2 * term.item() / scene.tokens))
    total = run(Objective({"ce": CrossEntropy(at_rest)}), scene).total
    (rest,) = torch.autograd.grad(total, [at_rest.log_variance])
    assert abs(rest.item()) < 1e-4


def test_learned_numbers_are_in_the_state():
    objective = Objective({"ce": CrossEntropy(Uncertainty(0.25))})
    twin = Objective({"ce": CrossEntropy(Uncertainty())})
    twin.load_state_dict(objective.state_dict())
    assert twin.losses["ce"].weight().item() == pytest.approx(0.25)
