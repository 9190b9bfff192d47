"""What is true of every divergence, whatever its formula."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.losses import citation
from tests.divergences.discovered import functions, gradient, logits, name_of, variants

ALL = variants()
TRUE = {name: function for name, function in ALL.items() if "soft_cross_entropy" not in name}
every = pytest.mark.parametrize("divergence", ALL.values(), ids=ALL.keys())
every_true = pytest.mark.parametrize("divergence", TRUE.values(), ids=TRUE.keys())


def test_there_are_some():
    assert {"forward_kl", "reverse_kl", "jensen_shannon"} <= set(ALL)


@pytest.mark.parametrize("function", functions().values(), ids=functions().keys())
def test_says_its_formula_and_where_it_comes_from(function):
    assert citation.line(function, "Formula")
    assert citation.bibtex(citation.lines(function, "Source")).startswith("@misc{")


@every_true
@given(seed=st.integers(0, 10**6), spread=st.floats(0.1, 8.0))
@settings(max_examples=15, deadline=None)
def test_is_never_negative(divergence, seed, spread):
    p, q = logits(seed=seed, spread=spread)
    assert (divergence(p.log_softmax(-1), q.log_softmax(-1)) >= -1e-12).all()


@every_true
def test_is_zero_where_both_agree_and_pulls_nowhere(divergence):
    p, _ = logits()
    value = divergence(p.log_softmax(-1), p.log_softmax(-1))
    assert value.abs().max() < 1e-12
    assert gradient(divergence, p, p).abs().max() < 1e-9


@every_true
def test_is_positive_where_they_differ(divergence):
    p, q = logits()
    assert (divergence(p.log_softmax(-1), q.log_softmax(-1)) > 1e-3).all()


@every
def test_gives_one_value_a_token_for_any_leading_shape(divergence):
    p, q = (x.log_softmax(-1) for x in logits(rows=6))
    flat = divergence(p, q)
    assert flat.shape == (6,)
    assert torch.equal(divergence(p.view(2, 3, -1), q.view(2, 3, -1)).flatten(), flat)


@every
def test_each_token_stands_alone(divergence):
    p, q = (x.log_softmax(-1) for x in logits(rows=6))
    whole = divergence(p, q)
    for row in range(6):
        torch.testing.assert_close(divergence(p[row : row + 1], q[row : row + 1])[0], whole[row], rtol=1e-12, atol=0)


@every
def test_gradients_on_logits_sum_to_zero(divergence):
    """I11: a constant on all logits of a position changes nothing."""
    p, q = logits()
    assert gradient(divergence, p, q).sum(-1).abs().max() < 1e-12
    p_shifted, q_shifted = p + 7.0, q - 3.0
    torch.testing.assert_close(
        divergence(p_shifted.log_softmax(-1), q_shifted.log_softmax(-1)),
        divergence(p.log_softmax(-1), q.log_softmax(-1)),
        rtol=1e-10,
        atol=1e-12,
    )


@every
def test_does_not_depend_on_the_order_of_the_vocabulary(divergence):
    p, q = (x.log_softmax(-1) for x in logits())
    order = torch.randperm(p.shape[-1], generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(divergence(p[:, order], q[:, order]), divergence(p, q), rtol=1e-12, atol=1e-13)


@every
def test_a_token_that_both_exclude_does_not_exist(divergence):
    """0 · log 0 = 0 in value and gradient: a padded vocabulary is the unpadded one."""
    p, q = logits()
    hole = torch.full((p.shape[0], 2), -torch.inf, dtype=p.dtype)
    p_padded, q_padded = torch.cat([p, hole], -1), torch.cat([q, hole], -1)
    torch.testing.assert_close(
        divergence(p_padded.log_softmax(-1), q_padded.log_softmax(-1)),
        divergence(p.log_softmax(-1), q.log_softmax(-1)),
        rtol=1e-12,
        atol=1e-14,
    )
    padded = gradient(divergence, p_padded, q_padded)
    assert (padded[:, -2:] == 0).all()
    torch.testing.assert_close(padded[:, :-2], gradient(divergence, p, q), rtol=1e-12, atol=1e-14)


@every
def test_gradient_is_the_derivative(divergence):
    p, q = logits(rows=2, vocabulary=5, seed=3)

    def on_logits(student):
        return divergence(p.log_softmax(-1), student.log_softmax(-1))

    # a detached weight inside (AKL, ToDi) is a constant of the derivative: see the tests of those families
    if name_of(divergence) in ("adaptive_kl", "token_wise_kl"):
        pytest.skip("weights are detached by definition; its own tests check the gradient")
    assert torch.autograd.gradcheck(on_logits, (q.requires_grad_(),), atol=1e-6)


@every
@pytest.mark.parametrize("spread", [1e-3, 5.0, 60.0])
def test_float32_is_finite_and_near_float64(divergence, spread):
    """60: probabilities below the smallest float32; their logarithms are not."""
    p, q = logits(rows=32, vocabulary=101, spread=spread)
    exact, slope = divergence(p.log_softmax(-1), q.log_softmax(-1)), gradient(divergence, p, q)
    p32, q32 = p.float(), q.float()
    single, single_slope = divergence(p32.log_softmax(-1), q32.log_softmax(-1)), gradient(divergence, p32, q32)
    assert single.isfinite().all()
    assert single_slope.isfinite().all()
    torch.testing.assert_close(single.double(), exact, rtol=2e-4, atol=2e-6 * max(1, spread))
    error = (single_slope.double() - slope).abs()
    allowed = 2e-6 * max(1, spread) + 1e-3 * slope.abs()
    # a distance with a kink at p = q (total variation) may be off at the few tokens that float32 puts on its other side
    assert ((error <= allowed).double().mean() > 0.9) if spread < 1 else (error <= allowed).all()


def test_infinite_where_only_the_student_excludes():
    """Not hidden: KL(p ‖ q) has no finite value there, and the objective will say where it happened."""
    p, q = logits()
    q[:, 0] = -math.inf
    p, q = p.log_softmax(-1), q.log_softmax(-1)
    assert functions()["forward_kl"](p, q).isposinf().all()
    assert functions()["reverse_kl"](p, q).isfinite().all()
    assert functions()["jensen_shannon"](p, q).isfinite().all()
