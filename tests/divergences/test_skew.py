"""Skewed KL: ends, bounds, and what it has to do with Jensen-Shannon."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.divergences.jensen_shannon import jensen_shannon
from distill.divergences.kl import forward_kl, reverse_kl
from distill.divergences.skew import skew_forward_kl, skew_reverse_kl
from tests.divergences.discovered import gradient, logits

PAIRS = ((skew_forward_kl, forward_kl), (skew_reverse_kl, reverse_kl))


def test_ends():
    """I5: skew 0 is plain KL, skew 1 is 0."""
    log_p, log_q = (x.log_softmax(-1) for x in logits())
    for skewed, plain in PAIRS:
        torch.testing.assert_close(skewed(log_p, log_q, 0.0), plain(log_p, log_q), rtol=1e-12, atol=0)
        assert skewed(log_p, log_q, 1.0).abs().max() < 1e-15


@given(low=st.floats(0.001, 0.999), high=st.floats(0.001, 0.999), seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_bounded_by_minus_log_skew_and_non_increasing(low, high, seed):
    """I5."""
    low, high = sorted((low, high))
    log_p, log_q = (x.log_softmax(-1) for x in logits(seed=seed, spread=6.0))
    for skewed, _ in PAIRS:
        assert (skewed(log_p, log_q, low) <= -math.log(low) + 1e-12).all()
        assert (skewed(log_p, log_q, high) <= skewed(log_p, log_q, low) + 1e-12).all()


@given(weight=st.floats(0.001, 0.999), seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_jensen_shannon_is_made_of_both(weight, seed):
    """I6: JSD(β) = β SKL(β) + (1 − β) SRKL(1 − β)."""
    log_p, log_q = (x.log_softmax(-1) for x in logits(seed=seed))
    made = weight * skew_forward_kl(log_p, log_q, weight) + (1 - weight) * skew_reverse_kl(log_p, log_q, 1 - weight)
    torch.testing.assert_close(jensen_shannon(log_p, log_q, weight), made, rtol=1e-10, atol=1e-14)


def test_forward_gradient_is_bounded():
    """I7: (1 − α) q (E_q[r] − r), r = p / (α p + (1 − α) q) ≤ 1/α; q − p at α = 0."""
    p, q = logits(spread=6.0)
    teacher, student = p.softmax(-1), q.softmax(-1)
    for skew in (0.0, 0.1, 0.5, 0.9):
        ratio = teacher / (skew * teacher + (1 - skew) * student)
        expected = (1 - skew) * student * ((student * ratio).sum(-1, keepdim=True) - ratio)
        slope = gradient(lambda a, b, s=skew: skew_forward_kl(a, b, s), p, q)
        torch.testing.assert_close(slope, expected, rtol=1e-9, atol=1e-14)
        if skew:
            assert (slope.abs() <= (1 - skew) * student / skew + 1e-12).all()


def test_finite_where_plain_kl_is_not():
    p, q = logits()
    p[:, 0], q[:, 1] = -math.inf, -math.inf
    for skewed, plain in PAIRS:
        assert plain(p.log_softmax(-1), q.log_softmax(-1)).isposinf().all()
        assert skewed(p.log_softmax(-1), q.log_softmax(-1), 0.1).isfinite().all()
        assert gradient(lambda a, b, f=skewed: f(a, b, 0.1), p, q).isfinite().all()
