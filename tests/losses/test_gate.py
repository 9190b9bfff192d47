"""Gates: which tokens pass, and that the others add nothing at all."""

import pytest
import torch

from distill.losses.cross_entropy import CrossEntropy
from distill.losses.gate import StudentEntropy, TeacherConfidence, TeacherCorrect, TeacherEntropy
from distill.losses.objective import Objective
from tests.losses.naive_pass import CONF, NOW, Scene, close, composed, gradients, part_of, run, vocabulary_losses

GATES = sorted(file.stem for file in (CONF / "gate").glob("*.yaml"))


def masks(scene: Scene) -> dict:
    p = scene.teacher.softmax(-1)
    q = scene.head.logits(scene.hidden).softmax(-1)
    return {
        TeacherConfidence(0.6): p.amax(-1) >= 0.6,
        TeacherEntropy(0.5, 1.2): (torch.special.entr(p).sum(-1) >= 0.5) & (torch.special.entr(p).sum(-1) < 1.2),
        TeacherEntropy(0.8): torch.special.entr(p).sum(-1) >= 0.8,
        StudentEntropy(0.7): torch.special.entr(q).sum(-1) >= 0.7,
        TeacherCorrect(): p.argmax(-1) == scene.batch.targets,
    }


def test_what_passes_is_the_sum_over_the_kept_tokens():
    scene = Scene(tokens=40)
    scene.batch.targets[::3] = scene.teacher.argmax(-1)[::3]
    for gate, keep in masks(scene).items():
        assert keep.any()
        assert not keep.all()
        loss = composed("loss", "forward_kl")
        loss.gate = gate
        ours = run(Objective({"kd": loss}, chunk=7), scene)
        kept = keep.nonzero().squeeze(-1)
        plain = Objective({"kd": composed("loss", "forward_kl")})
        theirs = plain(*part_of(scene, kept), NOW)
        close([ours.terms["kd"]], [theirs.terms["kd"]], 1e-12)
        close(gradients(ours.total, scene.leaves), gradients(theirs.total, scene.leaves), 1e-12)
        assert ours.tokens == 40


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("name", vocabulary_losses())
def test_every_gate_composes_with_every_loss(name, gate):
    loss = composed("loss", name, [f"+gate@loss.gate={gate}"])
    scene = Scene(tokens=20)
    assert run(Objective({"kd": loss}), scene).total.isfinite()
    assert loss.gate.formula()
    assert loss.asks >= loss.gate.needs


def test_a_gate_s_needs_are_its_loss_s():
    assert Objective({"ce": CrossEntropy(gate=TeacherCorrect())}).needs == {"logits"}
    assert Objective({"ce": CrossEntropy(gate=StudentEntropy())}).needs == frozenset()
