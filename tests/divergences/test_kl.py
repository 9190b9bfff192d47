"""Kullback-Leibler: direction, gradient, and what a high temperature makes of it."""

import torch
from torch.distributions import Categorical, kl_divergence

from distill.divergences.jensen_shannon import normalised_jensen_shannon
from distill.divergences.kl import forward_kl, reverse_kl, symmetric_kl
from tests.divergences.discovered import gradient, logits


def test_direction_and_value():
    p, q = logits()
    teacher, student = Categorical(logits=p), Categorical(logits=q)
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    torch.testing.assert_close(forward_kl(log_p, log_q), kl_divergence(teacher, student), rtol=1e-12, atol=0)
    torch.testing.assert_close(reverse_kl(log_p, log_q), kl_divergence(student, teacher), rtol=1e-12, atol=0)
    both = (kl_divergence(teacher, student) + kl_divergence(student, teacher)) / 2
    torch.testing.assert_close(symmetric_kl(log_p, log_q), both, rtol=1e-12, atol=0)


def test_forward_gradient_is_q_minus_p():
    """I1."""
    p, q = logits()
    torch.testing.assert_close(gradient(forward_kl, p, q), q.softmax(-1) - p.softmax(-1), rtol=0, atol=1e-15)


def test_reverse_gradient():
    """I3: q (log(q / p) − KL(q ‖ p))."""
    p, q = logits()
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    expected = log_q.exp() * (log_q - log_p - reverse_kl(log_p, log_q).unsqueeze(-1))
    torch.testing.assert_close(gradient(reverse_kl, p, q), expected, rtol=0, atol=1e-14)


def test_at_high_temperature_all_are_the_distance_of_centred_logits():
    """I2: T² D(T) -> |c(z_p) − c(z_q)|² / 2V, for both directions and JSD / β(1 − β)."""
    p, q = logits()
    temperature = 1000.0
    gap = (p - p.mean(-1, keepdim=True)) - (q - q.mean(-1, keepdim=True))
    limit = gap.square().sum(-1) / (2 * p.shape[-1])
    for divergence in (forward_kl, reverse_kl, symmetric_kl, normalised_jensen_shannon):
        softened = [(logit / temperature).log_softmax(-1) for logit in (p, q)]
        torch.testing.assert_close(temperature**2 * divergence(*softened), limit, rtol=5e-3, atol=0)


def test_gradient_is_the_paper_s_at_any_temperature():
    """I1: the gradient of T² KL_T on logits is T (q_T − p_T)."""
    p, q = logits()
    for temperature in (0.5, 2.0, 7.0):
        leaf = q.clone().requires_grad_()
        value = forward_kl((p / temperature).log_softmax(-1), (leaf / temperature).log_softmax(-1))
        (temperature**2 * value).sum().backward()
        expected = temperature * ((q / temperature).softmax(-1) - (p / temperature).softmax(-1))
        torch.testing.assert_close(leaf.grad, expected, rtol=0, atol=1e-14)
