"""A temperature for each domain: the sum over domains of each at its own."""

import copy
from dataclasses import replace

import pytest
import torch

from distill.errors import BadInput
from distill.losses.by_domain import ByDomain
from distill.losses.objective import Objective
from distill.losses.softening import PerSide, Standardised
from distill.signals.topk import TopK
from tests.losses.naive_pass import NOW, Scene, close, composed, gradients, vocabulary_losses

T = {"sea": 0.5, "air": 3.0}


def scene_of(dtype=torch.float64, tokens=12):
    """Twelve tokens, three to a sample, of three domains, one of which is not named."""
    scene = Scene(tokens=tokens, vocabulary=11, dtype=dtype)
    names = ("sea", "air", "land", "sea", "air")
    return scene, replace(scene.batch, domains=names[: len(scene.batch.samples)])


def of_domain(scene, batch, objective, name):
    """The objective on one domain's tokens."""
    rows = torch.tensor([batch.domains[i] == name for i in batch.owners.tolist()]).nonzero()[:, 0]
    outputs = replace(scene.outputs, hidden=scene.outputs.hidden[rows])
    parts = {key: getattr(batch, key)[rows] for key in ("targets", "positions", "owners")}
    return objective(outputs, scene.signal.at(rows), replace(batch, **parts), NOW)


@pytest.mark.parametrize("name", vocabulary_losses())
def test_the_sum_over_domains_of_each_at_its_own(name):
    scene, batch = scene_of()
    made = {at: Objective({name: composed("loss", name)}, temperature=at, chunk=5) for at in (0.5, 2.0, 3.0)}
    whole = Objective({name: composed("loss", name)}, ByDomain(T, other=2.0), chunk=5)(
        scene.outputs, scene.signal, batch, NOW
    )
    parts = [of_domain(scene, batch, made[T.get(d, 2.0)], d).total for d in ("sea", "air", "land")]
    total = torch.stack(parts).sum()
    close([whole.total.detach()], [total.detach()])
    close(gradients(whole.total, scene.leaves), gradients(total, scene.leaves), 1e-9)


@pytest.mark.parametrize("softening", [PerSide(0.5, 2.0), Standardised()])
def test_with_every_softening_and_with_weights(softening):
    scene, batch = scene_of()
    batch = replace(batch, weights=torch.linspace(0.0, 2.0, 12, dtype=torch.float64))
    loss = composed("loss", "forward_kl")
    loss.softening = softening
    ours = Objective({"kd": copy.deepcopy(loss)}, ByDomain(other=2.0))(scene.outputs, scene.signal, batch, NOW)
    theirs = Objective({"kd": loss}, 2.0)(scene.outputs, scene.signal, batch, NOW)
    close([ours.total.detach()], [theirs.total.detach()])
    close(gradients(ours.total, scene.leaves), gradients(theirs.total, scene.leaves))


def test_by_hand_with_and_without_the_square():
    scene, batch = scene_of()
    each = torch.tensor([T.get(batch.domains[i], 2.0) for i in batch.owners.tolist()]).double()[:, None]
    log_p, log_q = (scene.teacher / each).log_softmax(-1), (scene.head.logits(scene.hidden) / each).log_softmax(-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1)
    for squared, factor in ((True, each[:, 0] ** 2), (False, torch.ones(12).double())):
        loss = composed("loss", "forward_kl", [f"loss.temperature_squared={str(squared).lower()}"])
        ours = Objective({"kd": loss}, ByDomain(T, other=2.0))(scene.outputs, scene.signal, batch, NOW).total
        close([ours.detach()], [(factor * kl).sum().detach()])
        theirs = torch.autograd.grad((factor * kl).sum(), scene.leaves, retain_graph=True)
        close(gradients(ours, scene.leaves), list(theirs))


def test_a_loss_with_a_temperature_of_its_own_keeps_it_and_the_data_hears_of_none():
    """In float32, where what has a form of its own takes the compiled rows."""
    scene, batch = scene_of(torch.float32)
    losses = {"kd": composed("loss", "forward_kl", ["loss.temperature=2.0"]), "ce": composed("loss", "cross_entropy")}
    ours = Objective(losses, ByDomain(T))(scene.outputs, scene.signal, batch, NOW)
    theirs = Objective(copy.deepcopy(losses))(scene.outputs, scene.signal, batch, NOW)
    assert torch.equal(ours.total, theirs.total)


def test_it_is_printed_and_refuses_what_it_does_not_know():
    scene, batch = scene_of()
    objective = Objective({"kd": composed("loss", "forward_kl")}, ByDomain(T, other=2.0))
    assert "T = (0.5 in sea, 3 in air, 2 elsewhere)" in str(objective)
    objective.citations()
    objective.check(frozenset({"sea", "air", "land"}))
    with pytest.raises(BadInput, match=r"domains: air: no such domain; there are land, sea"):
        objective.check(frozenset({"sea", "land"}))
    with pytest.raises(BadInput, match="this data has none"):
        objective(scene.outputs, scene.signal, replace(batch, domains=()), NOW)
    with pytest.raises(BadInput, match="says nothing about another"):
        objective(scene.outputs, TopK.of(scene.teacher, 4, 2.0), batch, NOW)
