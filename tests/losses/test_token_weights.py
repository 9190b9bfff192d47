"""Weights of tokens: the sum over tokens of weight times loss, in every path of the pass."""

import copy
from dataclasses import replace

import pytest
import torch

from distill.losses.objective import Objective
from tests.losses.naive_pass import NOW, Scene, close, composed, gradients, vocabulary_losses

WEIGHTS = [0.0, 0.5, 1.0, 3.0]


def of_some(scene, objective, rows):
    """The objective on a part of the tokens."""
    outputs = replace(scene.outputs, hidden=scene.outputs.hidden[rows])
    batch = scene.batch
    fewer = replace(
        batch, targets=batch.targets[rows], positions=batch.positions[rows], owners=batch.owners[rows], weights=None
    )
    return objective(outputs, scene.signal.at(rows), fewer, NOW)


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("name", vocabulary_losses())
def test_a_weighted_sum_is_the_sum_of_its_parts(name, kernel):
    scene = Scene(tokens=12, vocabulary=11)
    if kernel:
        scene = Scene(tokens=12, vocabulary=11, dtype=torch.float32)
    weights = torch.tensor(WEIGHTS * 3, dtype=scene.hidden.dtype)
    weighted = replace(scene.batch, weights=weights)
    made = Objective({name: composed("loss", name)}, chunk=5, kernel=kernel)
    whole = copy.deepcopy(made)(scene.outputs, scene.signal, weighted, NOW)
    parts = [w * of_some(scene, copy.deepcopy(made), (weights == w).nonzero()[:, 0]).total for w in WEIGHTS[1:]]
    assert whole.tokens == 12
    tolerance = 1e-4 if kernel else 1e-9
    close([whole.total.detach()], [sum(parts).detach()], tolerance)
    close(gradients(whole.total, scene.leaves), gradients(sum(parts), scene.leaves), tolerance)
