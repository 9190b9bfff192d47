"""I23 in float64: what the mean of several teachers is, and what is lost against being taught by each of them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.divergences.kl import forward_kl
from distill.signals.dense import Dense
from distill.signals.mixture import MeanLogits, MeanProbabilities, likelihoods
from distill.types import Head, Outputs

N, V = 5, 11
WHOLE = slice(0, N)


def teachers(seed: int, count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [3 * torch.randn(N, V, generator=generator, dtype=torch.float64) for _ in range(count)]


def mixed(logits: list[torch.Tensor], weights: torch.Tensor, kind=MeanProbabilities):
    return kind(tuple(map(Dense, logits)), weights)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 4), temperature=st.sampled_from([0.5, 1.0, 2.0, 7.0]))
def test_the_mean_of_divergences_is_the_divergence_of_the_mean_and_the_disagreement(seed, count, temperature):
    *logits, student = teachers(seed, count + 1)
    weights = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    weights = weights / weights.sum()
    signal = mixed(logits, weights)
    log_p, log_q = signal.pair(signal.chunk(WHOLE), student, temperature)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(N, dtype=torch.float64))
    each = [forward_kl((z / temperature).log_softmax(-1), log_q) for z in logits]
    mean = temperature**2 * sum(w * one.sum() for w, one in zip(weights, each, strict=True))
    of_mean = temperature**2 * forward_kl(log_p, log_q).sum()
    apart = signal.disagreement(N, temperature)
    torch.testing.assert_close(mean, of_mean + apart)
    outputs = Outputs(student, Head(torch.eye(V, dtype=torch.float64)))
    torch.testing.assert_close(signal.divided(outputs, temperature), torch.stack([mean, of_mean, apart]))
    assert apart > -1e-12
    assert of_mean <= mean + 1e-9


def test_both_have_the_same_gradient():
    *logits, student = teachers(3, 4)
    student.requires_grad_()
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    signal = mixed(logits, weights)
    log_p, log_q = signal.pair(signal.chunk(WHOLE), student, 2.0)
    (of_mean,) = torch.autograd.grad(forward_kl(log_p, log_q).sum(), student, retain_graph=True)
    mean = sum(w * forward_kl((z / 2.0).log_softmax(-1), log_q).sum() for w, z in zip(weights, logits, strict=True))
    (of_each,) = torch.autograd.grad(mean, student)
    torch.testing.assert_close(of_mean, of_each)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_mean_of_logits_is_the_normalised_geometric_mean(temperature):
    *logits, student = teachers(4, 3)
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    signal = mixed(logits, weights, MeanLogits)
    log_p, _ = signal.pair(signal.chunk(WHOLE), student, temperature)
    product = sum(w * (z / temperature).log_softmax(-1) for w, z in zip(weights, logits, strict=True))
    torch.testing.assert_close(log_p, product.log_softmax(-1))
    assert signal.whole


@pytest.mark.parametrize("kind", [MeanProbabilities, MeanLogits])
def test_a_weight_of_zero_is_no_teacher(kind):
    first, second, student = teachers(5, 3)
    second[0, 3] = -torch.inf
    signal = mixed([first, second], torch.tensor([1.0, 0.0], dtype=torch.float64), kind)
    log_p, _ = signal.pair(signal.chunk(WHOLE), student, 1.0)
    torch.testing.assert_close(log_p, first.log_softmax(-1))


@pytest.mark.parametrize("kind", [MeanProbabilities, MeanLogits])
def test_weights_may_differ_between_positions(kind):
    first, second, student = teachers(6, 3)
    chooser = torch.tensor([0, 1, 1, 0, 1])
    weights = torch.nn.functional.one_hot(chooser, 2).double()
    signal = mixed([first, second], weights, kind)
    expected = torch.where(chooser[:, None] == 0, first, second).log_softmax(-1)
    for rows in (WHOLE, slice(1, 4)):
        log_p, _ = signal.pair(signal.chunk(rows), student[rows], 1.0)
        torch.testing.assert_close(log_p, expected[rows])
    moved = signal.at(torch.tensor([4, 0]))
    log_p, _ = moved.pair(moved.chunk(slice(0, 2)), student[:2], 1.0)
    torch.testing.assert_close(log_p, expected[[4, 0]])


def test_teachers_that_agree_lose_nothing():
    (logits,) = teachers(7, 1)
    weights = torch.tensor([0.5, 0.5], dtype=torch.float64)
    assert mixed([logits, logits + 5.0], weights).disagreement(N, 2.0).abs() < 1e-12


def test_likelihoods_are_those_of_the_targets():
    first, second = teachers(8, 2)
    targets = torch.tensor([0, 3, 10, 2, 5])
    found = likelihoods([Dense(first), Dense(second)], targets)
    assert found.shape == (N, 2)
    torch.testing.assert_close(found[:, 1], second.log_softmax(-1)[torch.arange(N), targets])
