"""Ways of softening: invariances, and that they compose with any divergence."""

import pytest
import torch

from distill.losses.objective import Objective
from distill.losses.softening import PerSide, Standardised
from distill.signals.dense import Dense
from distill.types import Outputs
from tests.losses.naive_pass import NOW, Scene, close, composed, gradients, run, vocabulary_losses

SOFTENED = [name for name in vocabulary_losses() if hasattr(composed("loss", name), "softening")]


def with_softening(name, softening):
    loss = composed("loss", name)
    loss.softening, loss.temperature = softening, None
    return Objective({"kd": loss}, temperature=2.0, chunk=3)


@pytest.mark.parametrize("name", SOFTENED)
def test_one_factor_for_both_sides_is_plain_softening(name):
    scene = Scene()
    plain = composed("loss", name)
    plain.softening = plain.temperature = None
    for factor in (1.0, 1.5):
        ours = run(with_softening(name, PerSide(factor, factor)), scene)
        theirs = run(Objective({"kd": plain}, temperature=2.0 * factor, chunk=3), scene)
        close([ours.total.detach()], [theirs.total.detach()], 1e-10)
        close(gradients(ours.total, scene.leaves), gradients(theirs.total, scene.leaves), 1e-9)


@pytest.mark.parametrize("name", SOFTENED)
def test_standardised_logits_forget_size_and_offset(name):
    """I14: invariant to a z + b, a > 0, on either side."""
    scene, objective = Scene(), with_softening(name, Standardised(epsilon=1e-12))
    value = run(objective, scene).total
    moved = run(objective, scene, Dense(3.0 * scene.teacher - 5.0)).total
    torch.testing.assert_close(moved, value, rtol=1e-9, atol=1e-10)
    grown = objective(Outputs(4.0 * scene.hidden, scene.head), scene.signal, scene.batch, NOW).total
    torch.testing.assert_close(grown, value, rtol=1e-9, atol=1e-10)


def test_standardised_by_hand():
    """The authors' normalise(), at T = 2, with its gradient."""
    scene = Scene()

    def normalise(z):
        return (z - z.mean(-1, keepdim=True)) / (z.std(-1, keepdim=True) + 1e-7)

    log_p = (normalise(scene.teacher) / 2).log_softmax(-1)
    log_q = (normalise(scene.head.logits(scene.hidden)) / 2).log_softmax(-1)
    total = 4 * (log_p.exp() * (log_p - log_q)).sum()
    ours = run(with_softening("forward_kl", Standardised()), scene).total
    close([ours.detach()], [total.detach()])
    close(gradients(ours, scene.leaves), gradients(total, scene.leaves))


def test_standardised_counts_only_what_is_allowed():
    wide, narrow = Scene(vocabulary=15, bias=True), Scene(vocabulary=13, bias=True)
    with torch.no_grad():
        narrow.hidden.copy_(wide.hidden)
        narrow.weight.copy_(wide.weight[:13])
        narrow.offset.copy_(wide.offset[:13])
        wide.offset[13:] = -torch.inf
        wide.teacher[:, 13:] = -torch.inf
        wide.batch.targets.clamp_(max=12)
    objective = with_softening("forward_kl", Standardised())
    ours = objective(wide.outputs, wide.signal, wide.batch, NOW)
    theirs = objective(narrow.outputs, Dense(wide.teacher[:, :13]), wide.batch, NOW)
    close([ours.total.detach()], [theirs.total.detach()], 1e-12)
    close([gradients(ours.total, [wide.hidden])[0]], [gradients(theirs.total, [narrow.hidden])[0]], 1e-9)


def test_a_sharper_teacher_by_hand():
    scene = Scene()
    log_p = (scene.teacher / 1.0).log_softmax(-1)
    log_q = (scene.head.logits(scene.hidden) / 4.0).log_softmax(-1)
    total = 4.0 * (log_p.exp() * (log_p - log_q)).sum()
    ours = run(with_softening("forward_kl", PerSide(teacher=0.5, student=2.0)), scene).total
    close([ours.detach()], [total.detach()])
    close(gradients(ours, scene.leaves), gradients(total, scene.leaves))
