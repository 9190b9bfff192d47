"""Jensen-Shannon: bounds, symmetry, ends."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.divergences.jensen_shannon import jensen_shannon, normalised_jensen_shannon
from distill.divergences.kl import forward_kl, reverse_kl
from tests.divergences.discovered import gradient, logits


def entropy(p: torch.Tensor) -> torch.Tensor:
    return -torch.special.xlogy(p, p).sum(-1)


@given(weight=st.floats(0.001, 0.999), seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_is_the_entropy_that_mixing_adds(weight, seed):
    """I4: H(m) − β H(p) − (1 − β) H(q), at most the entropy of the coin, at most log 2; β <-> 1 − β mirrors."""
    log_p, log_q = (x.log_softmax(-1) for x in logits(seed=seed))
    p, q = log_p.exp(), log_q.exp()
    value = jensen_shannon(log_p, log_q, weight)
    added = entropy(weight * p + (1 - weight) * q) - weight * entropy(p) - (1 - weight) * entropy(q)
    torch.testing.assert_close(value, added, rtol=1e-9, atol=1e-13)
    coin = -weight * math.log(weight) - (1 - weight) * math.log(1 - weight)
    assert (value <= coin + 1e-12).all()
    assert coin <= math.log(2) + 1e-12
    torch.testing.assert_close(value, jensen_shannon(log_q, log_p, 1 - weight), rtol=1e-9, atol=1e-13)


def test_is_the_coin_s_entropy_for_distributions_that_share_nothing():
    log_p = torch.tensor([[0.0, -math.inf]], dtype=torch.float64)
    log_q = torch.tensor([[-math.inf, 0.0]], dtype=torch.float64)
    assert jensen_shannon(log_p, log_q).item() == pytest.approx(math.log(2), rel=1e-15)


def test_ends_are_zero():
    log_p, log_q = (x.log_softmax(-1) for x in logits())
    for end in (0.0, 1.0):
        assert jensen_shannon(log_p, log_q, end).abs().max() < 1e-15


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("near", [1e-3, 1e-4, 1e-5])
def test_normalised_ends_are_the_two_kls_continuously(near, dtype):
    p, q = (x.to(dtype) for x in logits(spread=0.7))
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    rough = {"rtol": 200 * near, "atol": 0.05 if dtype is torch.float32 and near < 1e-4 else 1e-6}
    for weight, end in ((near, forward_kl), (1 - near, reverse_kl)):
        value = normalised_jensen_shannon(log_p, log_q, weight)
        torch.testing.assert_close(value, end(log_p, log_q), **rough)
    assert torch.equal(normalised_jensen_shannon(log_p, log_q, 0.0), forward_kl(log_p, log_q))
    assert torch.equal(normalised_jensen_shannon(log_p, log_q, 1.0), reverse_kl(log_p, log_q))
    at_end = normalised_jensen_shannon(log_p, log_q, torch.tensor(0.0, dtype=dtype))
    torch.testing.assert_close(
        at_end, forward_kl(log_p, log_q), rtol=1e-3, atol=0.2 if dtype is torch.float32 else 1e-3
    )


def test_normalised_at_one_half_is_four_times():
    log_p, log_q = (x.log_softmax(-1) for x in logits())
    four = 4 * jensen_shannon(log_p, log_q)
    torch.testing.assert_close(normalised_jensen_shannon(log_p, log_q), four, rtol=1e-12, atol=0)


def test_normalised_step_size_does_not_depend_on_its_weight_near_agreement():
    p, q = logits()
    near = p + 1e-4 * q
    weights = (0.0, 0.3, 0.9, 1.0)
    slopes = [gradient(lambda a, b, w=w: normalised_jensen_shannon(a, b, w), p, near) for w in weights]
    for slope in slopes[1:]:
        torch.testing.assert_close(slope, slopes[0], rtol=1e-2, atol=1e-9)
