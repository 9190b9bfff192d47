"""C1: −inf, inf and NaN. Finite value and gradients where the mathematics is defined, else one error that says
where."""

import math

import pytest
import torch

from distill.errors import NumericalStop
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.objective import Objective
from tests.losses.naive_pass import Scene, composed, run, vocabulary_losses

ALL = vocabulary_losses()
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
UNDEFINED_TEACHERS = {"nan": math.nan, "inf": math.inf}


def objective(name):
    return Objective({"kd": composed("loss", name), "ce": CrossEntropy(0.1)}, temperature=2.0, chunk=3)


def outcome(name, scene) -> list[torch.Tensor] | NumericalStop:
    """The gradients, or the error."""
    try:
        total = run(objective(name), scene).total
    except NumericalStop as stop:
        return stop
    assert total.isfinite()
    return list(torch.autograd.grad(total, scene.leaves))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_a_token_that_both_exclude_leaves_everything_finite(name, dtype):
    scene = Scene(bias=True, dtype=dtype, vocabulary=14)
    with torch.no_grad():
        scene.offset[-1] = -math.inf
        scene.teacher[:, -1] = -math.inf
        scene.batch.targets.clamp_(max=12)
    made = outcome(name, scene)
    assert isinstance(made, list), str(made)
    assert all(g.isfinite().all() for g in made)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("side", ["teacher", "student"])
@pytest.mark.parametrize("name", ALL)
def test_a_token_that_one_side_excludes_is_finite_or_named(name, side, dtype):
    """Never silent: either a finite loss with finite gradients, or an error that names the token."""
    scene = Scene(bias=True, dtype=dtype)
    with torch.no_grad():
        if side == "teacher":
            scene.teacher[4, 2] = -math.inf
        else:
            scene.offset[2] = -math.inf
            scene.batch.targets.masked_fill_(scene.batch.targets == 2, 3)
    made = outcome(name, scene)
    if isinstance(made, NumericalStop):
        row = 4 if side == "teacher" else 0
        assert f"sample {scene.batch.samples[row // 3]}, position {2 * row + 1}" in str(made)
        assert "loss/kd is undefined" in str(made)
    else:
        assert all(g.isfinite().all() for g in made)


def test_what_is_defined_and_what_is_not():
    """KL(p ‖ q) is defined where the teacher excludes, KL(q ‖ p) where the student does, JSD always."""
    expected = {
        ("forward_kl", "teacher"): True,
        ("forward_kl", "student"): False,
        ("reverse_kl", "teacher"): False,
        ("reverse_kl", "student"): True,
        ("jensen_shannon", "teacher"): True,
        ("jensen_shannon", "student"): True,
    }
    for (name, side), defined in expected.items():
        scene = Scene(bias=True)
        with torch.no_grad():
            if side == "teacher":
                scene.teacher[4, 2] = -math.inf
            else:
                scene.offset[2] = -math.inf
                scene.batch.targets.masked_fill_(scene.batch.targets == 2, 3)
        assert isinstance(outcome(name, scene), list) is defined, (name, side)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", UNDEFINED_TEACHERS.values(), ids=UNDEFINED_TEACHERS.keys())
@pytest.mark.parametrize("name", [name for name in ALL if composed("loss", name).needs])
def test_an_undefined_teacher_is_named(name, value, dtype):
    scene = Scene(dtype=dtype)
    scene.teacher[4, 2] = value
    made = outcome(name, scene)
    assert isinstance(made, NumericalStop)
    assert made.code == 3
    assert f"sample {scene.batch.samples[1]}, position 9 (its supervised token 1)" in str(made)
    assert "teacher logits are not finite" in str(made)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ALL)
def test_an_undefined_student_is_named(name, value, dtype):
    scene = Scene(dtype=dtype)
    with torch.no_grad():
        scene.hidden[5, 0] = value
    made = outcome(name, scene)
    assert isinstance(made, NumericalStop)
    assert f"sample {scene.batch.samples[1]}, position 11 (its supervised token 2)" in str(made)
    assert "student logits are not finite" in str(made)


def test_the_target_that_the_student_excludes_is_named():
    scene = Scene(bias=True)
    with torch.no_grad():
        scene.offset[scene.batch.targets[0]] = -math.inf
    with pytest.raises(NumericalStop, match=r"position 1 .*loss/ce is undefined"):
        run(Objective({"ce": CrossEntropy()}), scene)


def test_a_term_that_is_off_cannot_stop_the_training():
    scene = Scene(dtype=torch.float32)
    scene.teacher[4, 2] = math.nan
    both = Objective({"kd": composed("loss", "forward_kl", ["loss.weight=0.0"]), "ce": CrossEntropy()})
    weighed = run(both, scene)
    assert weighed.total.isfinite()
    assert weighed.terms["kd"].isnan()
