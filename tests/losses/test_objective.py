"""The sum: exactly what the config says, cut as you like, and really on."""

import itertools
from dataclasses import replace

import pytest
import torch

from distill.errors import BadInput
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.objective import Objective
from distill.signals.dense import Dense
from distill.types import Moment
from tests.losses.naive_pass import CONF, NOW, Scene, close, composed, gradients, part_of, run, vocabulary_losses

OBJECTIVES = sorted(file.stem for file in (CONF / "objective").glob("*.yaml"))
ALL = vocabulary_losses()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_composes_prints_and_cites(name):
    objective = composed("objective", name)
    printed = str(objective)
    assert printed.startswith("total = ")
    for term, loss in objective.losses.items():
        assert f"· {term}" in printed
        assert loss.formula() in printed
    assert objective.citations().count("@misc{") >= 1


def test_prints_the_formula_with_its_numbers():
    assert str(composed("objective", "hinton")).splitlines() == [
        "total = 0.9 · kd + 0.1 · ce",
        "  kd = T² · [KL(p ‖ q) = Σ p (log p − log q)]",
        "  ce = −log q(y)",
        "  T = 2 where a term names no other; nats per supervised token",
    ]


def test_cites_each_source_once():
    cited = composed("objective", "hinton").citations()
    assert cited.count("eprint = {1503.02531}") == 1
    assert "title = {{Distilling the Knowledge in a Neural Network}}" in cited


def test_hinton_by_hand():
    scene = Scene()
    weighed = run(composed("objective", "hinton"), scene)
    logits = scene.hidden @ scene.weight.T
    soft = torch.nn.functional.kl_div(
        (logits / 2).log_softmax(-1), (scene.teacher / 2).log_softmax(-1), reduction="sum", log_target=True
    )
    hard = torch.nn.functional.cross_entropy(logits, scene.batch.targets, reduction="sum")
    total = 0.9 * 4 * soft + 0.1 * hard
    torch.testing.assert_close(weighed.total, total, rtol=1e-12, atol=0)
    close(gradients(weighed.total, scene.leaves), gradients(total, scene.leaves))


def test_terms_are_unweighted_sums():
    scene = Scene()
    light, heavy = (
        Objective({"kd": composed("loss", "forward_kl", [f"loss.weight={w}"]), "ce": CrossEntropy()})
        for w in (0.1, 9.0)
    )
    light, heavy = run(light, scene), run(heavy, scene)
    assert list(light.terms) == ["kd", "ce"]
    assert all(torch.equal(light.terms[name], heavy.terms[name]) for name in light.terms)
    assert light.tokens == scene.tokens
    total = 9.0 * heavy.terms["kd"] + heavy.terms["ce"]
    torch.testing.assert_close(heavy.total.detach(), total, rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("pieces", [2, 4, 8])
def test_cutting_into_micro_batches_changes_nothing(name, pieces):
    """C4, in float32, with ragged pieces: sums, one denominator."""
    scene = Scene(tokens=29, dtype=torch.float32)
    losses = {"kd": composed("loss", name), "ce": CrossEntropy(0.5)}
    objective = Objective(losses, temperature=2.0, chunk=8)
    whole = gradients(run(objective, scene).total / scene.tokens, scene.leaves)
    inner = torch.randperm(28, generator=torch.Generator().manual_seed(0))[: pieces - 1] + 1
    cuts = [0, *sorted(inner.tolist()), 29]
    for start, stop in itertools.pairwise(cuts):
        (objective(*part_of(scene, slice(start, stop)), NOW).total / scene.tokens).backward()
    close([leaf.grad for leaf in scene.leaves], whole, 1e-6)


@pytest.mark.parametrize("name", ALL)
def test_weight_zero_is_cross_entropy_bit_for_bit_and_still_measured(name):
    """C7."""
    scene = Scene(dtype=torch.float32)
    plain = run(Objective({"ce": CrossEntropy()}, chunk=3), scene)
    both = Objective({"kd": composed("loss", name, ["loss.weight=0.0"]), "ce": CrossEntropy()}, chunk=3)
    off = run(both, scene)
    assert torch.equal(off.total, plain.total)
    close(gradients(off.total, scene.leaves), gradients(plain.total, scene.leaves), 0.0)
    both.losses["kd"].weight = 1.0
    torch.testing.assert_close(off.terms["kd"], run(both, scene).terms["kd"], rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", [name for name in ALL if composed("loss", name).needs])
def test_the_teacher_is_heard(name):
    """C7: shuffling or swapping the teacher moves the loss."""
    scene, objective = Scene(), Objective({"kd": composed("loss", name)})
    value = run(objective, scene).total
    for other in (scene.teacher.roll(1, 0), scene.teacher.roll(1, 1)):
        assert (run(objective, scene, Dense(other)).total - value).abs() > 1e-3


def test_without_a_teacher_what_needs_one_is_refused_unless_it_is_off():
    scene = Scene()
    losses = {"kd": composed("loss", "forward_kl"), "ce": CrossEntropy()}
    objective = Objective(losses)
    with pytest.raises(BadInput, match=r"objective\.losses\.kd"):
        objective(scene.outputs, None, scene.batch, NOW)
    losses["kd"].weight = 0.0
    weighed = objective(scene.outputs, None, scene.batch, NOW)
    assert list(weighed.terms) == ["ce"]
    assert torch.equal(weighed.total, run(Objective({"ce": CrossEntropy()}), scene).total)


def test_needs_are_the_losses_together():
    assert Objective({"ce": CrossEntropy()}).needs == frozenset()
    assert composed("objective", "hinton").needs == {"logits"}


@pytest.mark.parametrize("name", ALL)
def test_state_survives_a_round_trip(name):
    objective = Objective({"kd": composed("loss", name)})
    objective.train()
    for step in range(3):
        scene = Scene(seed=step)
        objective(scene.outputs, scene.signal, scene.batch, Moment(step, 10))
    twin = Objective({"kd": composed("loss", name)})
    twin.load_state_dict(objective.state_dict())
    scene, later = Scene(seed=9), Moment(3, 10)
    ours = objective(scene.outputs, scene.signal, scene.batch, later)
    theirs = twin(scene.outputs, scene.signal, scene.batch, later)
    assert torch.equal(ours.total, theirs.total)


def test_the_batch_is_not_touched():
    scene = Scene()
    before = replace(scene.batch, targets=scene.batch.targets.clone())
    run(composed("objective", "hinton"), scene)
    assert torch.equal(before.targets, scene.batch.targets)


@pytest.mark.parametrize("name", ["values", "keys", "type", "forward", "a-b", "损失"])
def test_a_loss_may_have_any_name(name):
    scene = Scene()
    weighed = run(Objective({name: CrossEntropy()}), scene)
    assert list(weighed.terms) == [name]
