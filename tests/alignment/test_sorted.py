"""ULD: by rank, blind to which token is which, and right about which position predicts which token."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.alignment.sorted import Sorted
from distill.divergences.l1 import l1
from distill.divergences.total_variation import total_variation
from distill.losses.objective import Objective
from distill.signals.dense import Dense
from tests.alignment.pairs import Sides, paired, prepared
from tests.losses.naive_pass import NOW, Scene, composed


def uld(p, q):
    return l1(p.sort(descending=True).values, q.sort(descending=True).values)


@given(seed=st.integers(0, 999), size=st.integers(2, 30))
def test_identities(seed, size):
    """I15."""
    generator = torch.Generator().manual_seed(seed)
    p, q = (3 * torch.randn(4, size, generator=generator, dtype=torch.float64).log_softmax(-1) for _ in range(2))
    p, q = p.log_softmax(-1), q.log_softmax(-1)
    shuffled = torch.randperm(size, generator=generator)
    torch.testing.assert_close(uld(p[:, shuffled], q), uld(p, q))
    torch.testing.assert_close(uld(p, q[:, shuffled]), uld(p, q))
    assert (uld(p, q) <= 2 * total_variation(p, q) + 1e-12).all()
    assert (uld(p, p[:, shuffled]) < 1e-12).all()
    torch.testing.assert_close(l1(p, q), 2 * total_variation(p, q))


def test_equal_tokenizers_are_sorted_too_and_a_permuted_teacher_says_the_same():
    scene = Scene()
    objective = composed("objective", "uld")
    shuffled = torch.randperm(scene.vocabulary, generator=torch.Generator().manual_seed(1))
    totals = [
        objective(scene.outputs, Sorted().align(Dense(teacher), scene.batch), scene.batch, NOW).terms["kd"]
        for teacher in (scene.teacher, scene.teacher[:, shuffled])
    ]
    logits = scene.hidden @ scene.weight.T
    expected = uld(scene.teacher.log_softmax(-1), logits.log_softmax(-1)).sum().detach()
    for total in totals:
        torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("match", ["spans", "index"])
def test_the_smaller_vocabulary_is_filled_with_zeros(english, letters, tmp_path, match):
    sides = Sides.of(paired(tmp_path / "d", english, letters).batch(0), english, letters)
    log_p, log_q, heard = sides.pair(prepared(Sorted(match), english, letters))
    assert log_p.shape == log_q.shape
    assert log_q.shape[1] == sides.student.shape[1]
    rows = heard.nonzero()[:, 0]
    assert (log_p[rows, sides.teacher.shape[1] :] == -torch.inf).all()
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones_like(log_p[:, 0]))


def test_by_index_the_first_token_stands_beside_the_first(english, letters, tmp_path):
    batch = paired(tmp_path / "d", english, letters).batch(0)
    sides = Sides.of(batch, english, letters)
    match = prepared(Sorted("index"), english, letters).align(sides.signal, batch).match
    assert match.heard.all()  # letters are never fewer
    for owner in range(len(batch.samples)):
        mine = (batch.owners == owner).nonzero()[:, 0]
        theirs = (batch.spans.teacher_owners == owner).nonzero()[:, 0]
        assert match.rows[mine].tolist() == theirs[: len(mine)].tolist()


def test_by_index_nothing_stands_beside_what_is_behind_the_last(english, letters, tmp_path):
    batch = paired(tmp_path / "d", letters, english).batch(0)
    match = prepared(Sorted("index"), letters, english).align(Sides.of(batch, letters, english).signal, batch).match
    counts = batch.spans.teacher_owners.bincount(minlength=len(batch.samples))
    assert match.heard.sum() == torch.minimum(counts, batch.owners.bincount(minlength=len(batch.samples))).sum()
    assert not match.heard.all()


def test_the_gradient_is_finite(english, letters, tmp_path):
    batch = paired(tmp_path / "d", english, letters).batch(0)
    sides = Sides.of(batch, english, letters)
    sides.student.requires_grad_()
    signal = prepared(Sorted(), english, letters).align(sides.signal, batch)
    total = Objective({"kd": composed("loss", "uld")})(sides.outputs, signal, batch, NOW).total
    (slope,) = torch.autograd.grad(total, sides.student)
    assert torch.isfinite(slope).all()
    assert slope.abs().sum() > 0
