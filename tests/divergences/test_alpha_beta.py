"""α-β and Rényi: special cases, symmetry, gradient, and limits that are continuous."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.divergences.alpha_beta import alpha_beta, renyi
from distill.divergences.kl import forward_kl, reverse_kl
from distill.divergences.total_variation import squared_hellinger
from tests.divergences.discovered import gradient, logits

POWERS = st.floats(-2, 2).filter(lambda x: abs(x) > 0.05)


def both():
    return tuple(x.log_softmax(-1) for x in logits())


def test_special_cases():
    """I8."""
    log_p, log_q = both()
    p, q = log_p.exp(), log_q.exp()
    cases = {
        (1.0, 0.0): forward_kl(log_p, log_q),
        (0.0, 1.0): reverse_kl(log_p, log_q),
        (1.0, 1.0): (p - q).square().sum(-1) / 2,
        (0.5, 0.5): 4 * squared_hellinger(log_p, log_q),
        (0.0, 0.0): (log_p - log_q).square().sum(-1) / 2,
    }
    for (alpha, beta), expected in cases.items():
        torch.testing.assert_close(alpha_beta(log_p, log_q, alpha, beta), expected, rtol=1e-10, atol=1e-14)


@given(alpha=POWERS, beta=POWERS, seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_equals_the_formula_and_mirrors(alpha, beta, seed):
    """I8: AB(α, β; p, q) = AB(β, α; q, p)."""
    if abs(alpha + beta) < 0.05:
        return
    log_p, log_q = (x.log_softmax(-1) for x in logits(seed=seed, spread=1.0))
    p, q, total = log_p.exp(), log_q.exp(), alpha + beta
    bracket = p**alpha * q**beta - alpha / total * p**total - beta / total * q**total
    value = alpha_beta(log_p, log_q, alpha, beta)
    torch.testing.assert_close(value, -bracket.sum(-1) / (alpha * beta), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(value, alpha_beta(log_q, log_p, beta, alpha), rtol=1e-9, atol=1e-12)
    assert (value >= 0).all()


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0, 2.0])
def test_limits_carry_the_square(power):
    """I8: AB(α, 0) and AB(α, −α) over α²; the authors' code divides by α."""
    log_p, log_q = both()
    p, q, a = log_p.exp(), log_q.exp(), power
    at_zero = (p**a * a * (log_p - log_q) - p**a + q**a).sum(-1) / a**2
    opposite = (a * (log_q - log_p) + (p / q) ** a - 1).sum(-1) / a**2
    torch.testing.assert_close(alpha_beta(log_p, log_q, a, 0.0), at_zero, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(alpha_beta(log_p, log_q, a, -a), opposite, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("edge", [(0.5, 0.0), (0.0, 0.5), (0.5, -0.5), (-0.5, 0.5), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
def test_limits_are_reached_continuously(edge):
    log_p, log_q = (x.log_softmax(-1) for x in logits(spread=0.7))
    exact = alpha_beta(log_p, log_q, *edge)
    for near in (1e-4, 1e-7):
        moved = alpha_beta(log_p, log_q, edge[0] + near, edge[1] + near / 3)
        torch.testing.assert_close(moved, exact, rtol=50 * near + 1e-7, atol=1e-8)


def test_gradient():
    """I9: −(1/α) [w − q Σ w], w = q^β (p^α − q^α)."""
    p, q = logits()
    teacher, student = p.softmax(-1), q.softmax(-1)
    for alpha, beta in ((0.2, 0.7), (1.0, 1.0), (0.5, 0.5), (1.5, -0.4)):
        w = student**beta * (teacher**alpha - student**alpha)
        expected = -(w - student * w.sum(-1, keepdim=True)) / alpha
        slope = gradient(lambda a, b, x=alpha, y=beta: alpha_beta(a, b, x, y), p, q)
        torch.testing.assert_close(slope, expected, rtol=1e-9, atol=1e-12)


def test_a_token_that_one_side_excludes_costs_what_the_formula_says():
    p, q = logits()
    p[:, 0], q[:, 1] = -math.inf, -math.inf
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    teacher, student = log_p.exp(), log_q.exp()
    for alpha, beta in ((0.2, 0.7), (1.0, 1.0), (0.5, 0.5)):
        total = alpha + beta
        bracket = teacher**alpha * student**beta - alpha / total * teacher**total - beta / total * student**total
        value = alpha_beta(log_p, log_q, alpha, beta)
        torch.testing.assert_close(value, -bracket.sum(-1) / (alpha * beta), rtol=1e-10, atol=1e-13)
        assert gradient(lambda a, b, x=alpha, y=beta: alpha_beta(a, b, x, y), p, q).isfinite().all()
    assert alpha_beta(log_p, log_q, 1.0, 0.0).isposinf().all()
    assert alpha_beta(log_p, log_q, 0.0, 1.0).isposinf().all()


@pytest.mark.parametrize("order", [0.25, 0.5, 0.93, 1.04, 2.0, 3.5])
def test_renyi_is_its_formula(order):
    log_p, log_q = both()
    inner = (log_p.exp() ** order * log_q.exp() ** (1 - order)).sum(-1)
    torch.testing.assert_close(renyi(log_p, log_q, order), inner.log() / (order - 1), rtol=1e-9, atol=1e-12)


def test_renyi_rises_with_its_order_through_forward_kl():
    log_p, log_q = both()
    values = [renyi(log_p, log_q, order) for order in (0.3, 0.9, 0.95, 0.99999, 1.0, 1.00001, 1.05, 1.2, 3.0)]
    for lower, higher in itertools.pairwise(values):
        assert (lower <= higher + 1e-12).all()
    torch.testing.assert_close(values[3], forward_kl(log_p, log_q), rtol=1e-3, atol=0)
    torch.testing.assert_close(values[5], forward_kl(log_p, log_q), rtol=1e-3, atol=0)
