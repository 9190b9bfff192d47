"""The schedule is what its name says, and decay touches matrices only."""

import math

import pytest
import torch
from torch import nn

from distill.errors import BadInput
from distill.training.optim import AdamW


def test_warm_up_rises_linearly_and_cosine_falls_to_the_floor():
    recipe = AdamW(warmup=4, floor=0.1, schedule="cosine")
    assert [recipe.factor(step, 104) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert recipe.factor(4, 104) == pytest.approx(1.0)
    assert recipe.factor(54, 104) == pytest.approx(0.1 + 0.9 * 0.5)
    assert recipe.factor(104, 104) == pytest.approx(0.1)
    assert recipe.factor(9999, 104) == pytest.approx(0.1)


def test_linear_and_constant():
    assert AdamW(schedule="linear", floor=0.0).factor(25, 100) == pytest.approx(0.75)
    assert AdamW(schedule="constant").factor(99, 100) == 1.0


def test_one_step_is_the_formula():
    weight = nn.Parameter(torch.full((2, 2), 3.0))
    bias = nn.Parameter(torch.full((2,), 3.0))
    optimizer, _ = AdamW(0.1, weight_decay=0.5, schedule="constant").build([("w", weight), ("b", bias)], 10)
    weight.grad, bias.grad = torch.full((2, 2), 2.0), torch.full((2,), 2.0)
    optimizer.step()
    assert weight[0, 0].item() == pytest.approx(3.0 * (1 - 0.1 * 0.5) - 0.1, rel=1e-5)
    assert bias[0].item() == pytest.approx(3.0 - 0.1, rel=1e-5)


def test_nothing_to_train_is_refused():
    frozen = nn.Parameter(torch.ones(1), requires_grad=False)
    with pytest.raises(BadInput, match="no parameter wants a gradient"):
        AdamW().build([("w", frozen)], 10)


def test_the_last_step_of_a_run_is_near_the_floor():
    assert AdamW(floor=0.0).factor(99, 100) == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.99)))
