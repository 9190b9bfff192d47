"""Losses on written text between two real models: pieces against the naive form, pairs and top-K against formulas."""

import pytest
import torch

from distill.divergences.kl import reverse_kl
from distill.divergences.skew import skew_forward_kl, skew_reverse_kl
from distill.losses.coarsened import Coarsened
from distill.losses.contrastive_pairs import ContrastivePairs
from distill.losses.divergence import Divergence
from distill.losses.objective import Objective
from distill.losses.pieces import of_tokens, suffix_sums
from distill.losses.whole_text import WholeText
from distill.signals.dense import Dense
from distill.types import Batch, Head, Moment, Outputs

N, D, V = 11, 5, 7
NOW = Moment(0, 10)


@pytest.fixture
def scene():
    """(outputs with gradients, signal, batch, the two sides' log-probabilities)."""
    chance = torch.Generator().manual_seed(3)
    hidden, weight = (torch.randn(*s, dtype=torch.float64, generator=chance) for s in ((N, D), (V, D)))
    hidden.requires_grad_(True)
    weight.requires_grad_(True)
    teacher = torch.randn(N, V, dtype=torch.float64, generator=chance)
    targets = torch.randint(V, (N,), generator=chance)
    owners = torch.tensor([0] * 3 + [1] * 4 + [2] * 1 + [3] * 3)
    labels = {"writers": torch.tensor([2, 2, 1, 1])[owners], "behaviour": torch.full((N,), -2.0)}
    batch = Batch({}, {}, targets, targets, targets, owners, ("a", "b", "c", "d"), labels=labels)
    log_q = (hidden @ weight.T).log_softmax(-1)
    return Outputs(hidden, Head(weight)), Dense(teacher), batch, teacher.log_softmax(-1), log_q


def slopes(value, outputs):
    return torch.autograd.grad(value, [outputs.hidden, outputs.head.weight])


@pytest.mark.parametrize("size", [1, 4, 50])
def test_pieces_are_the_naive_form_whatever_the_chunk(scene, size):
    outputs, signal, _, log_p, log_q = scene
    weights = torch.arange(N, dtype=torch.float64)
    found = of_tokens(outputs, signal, lambda p, q, rows: reverse_kl(p, q)[:, None], size=size)[:, 0]
    naive = reverse_kl(log_p, log_q)
    assert torch.allclose(found, naive)
    for ours, theirs in zip(
        slopes((weights * found).sum(), outputs), slopes((weights * naive).sum(), outputs), strict=True
    ):
        assert torch.allclose(ours, theirs)


def test_suffix_sums_stop_at_the_end_of_a_text():
    told = suffix_sums(torch.tensor([1.0, 2.0, 3.0, 10.0]), torch.tensor([4, 4, 4, 9]))
    assert told.tolist() == [6.0, 5.0, 3.0, 10.0]


def test_pairs_pull_on_the_teachers_text_and_push_on_the_students(scene):
    outputs, signal, batch, log_p, log_q = scene
    loss = ContrastivePairs(skew=0.1, until=1.5)
    loss.settle(Moment(9, 10))
    found = loss(outputs, signal, batch)
    taught = batch.labels["writers"] == 2
    expected = torch.where(taught, 0.25 * skew_forward_kl(log_p, log_q), 0.75 * skew_reverse_kl(log_p, log_q))
    assert torch.allclose(found, expected)
    loss.settle(Moment(0, 10))
    assert torch.allclose(loss(outputs, signal, batch)[taught], 0.5 * skew_forward_kl(log_p, log_q)[taught])


def test_a_curriculum_of_texts_keeps_skews_within_their_range(scene):
    outputs, signal, batch, *_ = scene
    skews = ContrastivePairs(skew=0.1, curriculum=True)._skews(outputs, signal, batch, batch.labels["writers"] == 2)
    assert ((skews >= 0.01 - 1e-7) & (skews <= 0.1 + 1e-7)).all()
    assert len(skews.unique()) > 1
    assert all(len(skews[batch.owners == owner].unique()) == 1 for owner in range(4))


def objective(loss):
    return Objective({"kd": loss}, kernel=False)


@pytest.mark.parametrize("of", ["student", "teacher"])
def test_the_likeliest_and_a_tail_are_a_lower_bound_and_all_of_them_are_all(scene, of):
    outputs, signal, batch, *_ = scene
    whole = objective(Divergence(reverse_kl))(outputs, signal, batch, NOW).total
    told = [objective(Coarsened(reverse_kl, k, of))(outputs, signal, batch, NOW).total for k in (1, 3, V - 1, V)]
    assert all(a <= b + 1e-12 for a, b in zip(told, [*told[1:], whole], strict=True))
    assert torch.allclose(told[-1], whole)


def test_all_three_estimators_agree_in_expectation(scene):
    """Of the drawn token: summed over every token that could have been drawn, times how likely it is."""
    outputs, signal, batch, *_, log_q = scene
    whole = slopes(objective(Divergence(reverse_kl))(outputs, signal, batch, NOW).total, outputs)
    loss = WholeText(single_step=False, length_norm=False, discount=0.0, importance="none", clip=None)
    total = torch.zeros((), dtype=torch.float64)
    for token in range(V):
        drawn = Batch(**{**vars(batch), "targets": torch.full((N,), token)})
        total = total + (log_q[:, token].detach().exp() * loss(outputs, signal, drawn)).sum()
    for ours, theirs in zip(slopes(total, outputs), whole, strict=True):
        assert torch.allclose(ours, theirs)
