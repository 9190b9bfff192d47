"""DKD: forward KL falls apart into target-or-not and the rest."""

import torch

from distill.divergences.decoupled import decoupled_kl
from distill.divergences.kl import forward_kl
from tests.divergences.discovered import gradient, logits

TARGETS = torch.tensor([0, 3, 10, 5, 5, 1])


def test_is_forward_kl_at_the_token_s_own_weight():
    """I13: KL = TCKD + (1 − p_y) NCKD, in value and gradient."""
    p, q = logits()
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    rest = 1 - log_p.exp().gather(-1, TARGETS.unsqueeze(-1)).squeeze(-1)
    target_part = decoupled_kl(log_p, log_q, TARGETS, 1.0, 0.0)
    rest_part = decoupled_kl(log_p, log_q, TARGETS, 0.0, 1.0)
    torch.testing.assert_close(target_part + rest * rest_part, forward_kl(log_p, log_q), rtol=1e-12, atol=1e-14)

    def own(a, b):
        return decoupled_kl(a, b, TARGETS, 1.0, 0.0) + rest * decoupled_kl(a, b, TARGETS, 0.0, 1.0)

    torch.testing.assert_close(gradient(own, p, q), gradient(forward_kl, p, q), rtol=1e-9, atol=1e-14)


def test_by_hand():
    p, q = (x.softmax(-1) for x in logits())
    for row, y in enumerate(TARGETS.tolist()):
        a, b = p[row], q[row]
        binary = a[y] * (a[y] / b[y]).log() + (1 - a[y]) * ((1 - a[y]) / (1 - b[y])).log()
        others = [i for i in range(11) if i != y]
        x, z = a[others] / (1 - a[y]), b[others] / (1 - b[y])
        expected = 2 * binary + 3 * (x * (x / z).log()).sum()
        made = decoupled_kl(a.log()[None], b.log()[None], TARGETS[row : row + 1], 2.0, 3.0)[0]
        torch.testing.assert_close(made, expected, rtol=1e-11, atol=0)


def test_zero_at_agreement_and_gradients_sum_to_zero():
    p, q = logits()
    assert decoupled_kl(p.log_softmax(-1), p.log_softmax(-1), TARGETS).abs().max() < 1e-13
    assert gradient(lambda a, b: decoupled_kl(a, b, TARGETS), p, p).abs().max() < 1e-13
    assert gradient(lambda a, b: decoupled_kl(a, b, TARGETS), p, q).sum(-1).abs().max() < 1e-13


def test_an_excluded_token_does_not_exist():
    p, q = logits()
    hole = torch.full((6, 2), -torch.inf, dtype=p.dtype)
    padded = [torch.cat([x, hole], -1) for x in (p, q)]
    slope = gradient(lambda a, b: decoupled_kl(a, b, TARGETS), *padded)
    assert (slope[:, -2:] == 0).all()
    torch.testing.assert_close(slope[:, :-2], gradient(lambda a, b: decoupled_kl(a, b, TARGETS), p, q))
