"""A top-K signal is a coarser distribution on both sides: a lower bound of every f-divergence, exact at K = V."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.divergences.alpha_beta import renyi
from distill.divergences.jensen_shannon import jensen_shannon
from distill.divergences.kl import forward_kl, reverse_kl, symmetric_kl
from distill.divergences.skew import skew_forward_kl, skew_reverse_kl
from distill.divergences.total_variation import squared_hellinger, total_variation
from distill.errors import BadInput
from distill.signals.dense import Dense
from distill.signals.topk import TopK

V = 11
F_DIVERGENCES = [
    forward_kl,
    reverse_kl,
    symmetric_kl,
    jensen_shannon,
    skew_forward_kl,
    skew_reverse_kl,
    total_variation,
    squared_hellinger,
    renyi,
]


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def compared(signal, logits, temperature):
    return signal.pair(signal.chunk(slice(None)), logits, temperature)


@pytest.mark.parametrize("divergence", F_DIVERGENCES, ids=lambda f: f.__name__)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, V - 1), temperature=st.sampled_from([0.5, 1.0, 3.0]))
def test_it_is_a_lower_bound(divergence, seed, k, temperature):
    teacher, student = drawn(4, V, seed=seed), drawn(4, V, seed=seed + 1)
    whole = divergence(*compared(Dense(teacher), student, temperature))
    coarse = divergence(*compared(TopK.of(teacher, k, temperature), student, temperature))
    assert (coarse <= whole + 1e-12).all()
    assert (coarse >= -1e-12).all()


@pytest.mark.parametrize("divergence", F_DIVERGENCES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("k", [V, V + 5])
def test_it_is_exact_where_everything_is_kept(divergence, temperature, k):
    teacher = drawn(4, V)
    values = []
    for signal in (Dense(teacher), TopK.of(teacher, k, temperature)):
        student = drawn(4, V, seed=1).requires_grad_()
        value = divergence(*compared(signal, student, temperature))
        value.sum().backward()
        values.append((value.detach(), student.grad))
    for one, other in zip(*values, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_tail_is_all_that_is_not_kept_on_both_sides(temperature):
    teacher, student = drawn(5, V), drawn(5, V, seed=1)
    signal = TopK.of(teacher, 3, temperature)
    log_p, log_q = compared(signal, student, temperature)
    for made, logits in ((log_p, teacher), (log_q, student)):
        p = (logits / temperature).softmax(-1)
        kept = p.gather(-1, signal.ids)
        torch.testing.assert_close(made[:, :3].exp(), kept, rtol=1e-12, atol=0)
        torch.testing.assert_close(made[:, 3].exp(), 1 - kept.sum(-1), rtol=1e-9, atol=1e-15)


def test_a_tail_far_below_rounding_is_kept():
    """1 − Σ p has no digits left at a mass of 1e-22; the sum over the tail's own tokens has."""
    teacher = torch.zeros(1, V)
    teacher[0, 4] = 50.0
    log_p, log_q = compared(TopK.of(teacher, 1, 1.0), teacher.clone(), 1.0)
    assert log_p[0, 1].item() == pytest.approx(math.log(V - 1) - 50, rel=1e-6)
    torch.testing.assert_close(log_p, log_q)


def test_a_student_without_a_tail_has_a_finite_gradient():
    """All of the student's mass on the kept tokens, the rest excluded: 0 · log 0 on its side."""
    teacher = drawn(2, V)
    signal = TopK.of(teacher, 4, 1.0)
    student = torch.full((2, V), -math.inf, dtype=torch.float64)
    student.scatter_(-1, signal.ids, drawn(2, 4, seed=2))
    student.requires_grad_()
    value = reverse_kl(*compared(signal, student, 1.0))
    value.sum().backward()
    assert value.isfinite().all()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_targets_have_their_place_or_the_tail():
    signal = TopK.of(drawn(4, V), 3, 1.0)
    chunk = signal.chunk(slice(None))
    for place in range(3):
        assert (signal.answers(chunk, signal.ids[:, place]) == place).all()
    others = torch.tensor([next(v for v in range(V) if v not in row.tolist()) for row in signal.ids])
    assert (signal.answers(chunk, others) == 3).all()


@pytest.mark.parametrize("asked", [2.0, torch.tensor(2.0), torch.ones(4, 1), torch.tensor(1.0, requires_grad=True)])
def test_another_temperature_is_refused(asked):
    signal = TopK.of(drawn(4, V), 3, 1.0)
    with pytest.raises(BadInput, match=r"drawn at temperature 1 .*signal=hidden"):
        compared(signal, drawn(4, V), asked)


def test_positions_may_be_repeated_and_left_out():
    signal = TopK.of(drawn(4, V), 3, 1.0)
    moved = signal.at(torch.tensor([2, 2, 0]))
    log_p, _ = compared(moved, drawn(3, V), 1.0)
    torch.testing.assert_close(log_p, signal.chunk(slice(None))[1][[2, 2, 0]])


def test_it_passes_gradcheck():
    signal = TopK.of(drawn(3, V), 4, 2.0)
    told = signal.chunk(slice(None))
    student = drawn(3, V, seed=5).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: signal.pair(told, z, 2.0)[1], student)
