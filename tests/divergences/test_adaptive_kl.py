"""AKL and ToDi: weights that sum to one, are chosen by the right tokens, and are not pulled."""

import torch

from distill.divergences.adaptive_kl import adaptive_kl, token_wise_kl
from distill.divergences.kl import forward_kl, reverse_kl
from tests.divergences.discovered import gradient, logits


def forward_weight(p: torch.Tensor, q: torch.Tensor, mass: float) -> float:
    """Token by token, without sorting a tensor: the reference for one position."""
    head, used = set(), 0.0
    for rank, token in enumerate(sorted(range(len(p)), key=lambda i: -p[i].item())):
        used += p[token].item()
        if rank and used > mass:
            break
        head.add(token)
    gaps = [(p[i] - q[i]).abs().item() for i in range(len(p))]
    return sum(gaps[i] for i in head) / sum(gaps)


def test_adaptive_weights_are_gathered_by_token():
    p, q = logits(rows=20)
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    for mass in (0.0, 0.5, 0.9, 1.0):
        share = torch.tensor(
            [forward_weight(log_p[i].exp(), log_q[i].exp(), mass) for i in range(20)], dtype=torch.float64
        )
        expected = share * forward_kl(log_p, log_q) + (1 - share) * reverse_kl(log_p, log_q)
        torch.testing.assert_close(adaptive_kl(log_p, log_q, mass), expected, rtol=1e-12, atol=1e-14)
        pulled = share.unsqueeze(-1) * gradient(forward_kl, p, q) + (1 - share).unsqueeze(-1) * gradient(
            reverse_kl, p, q
        )
        slope = gradient(lambda a, b, m=mass: adaptive_kl(a, b, m), p, q)
        torch.testing.assert_close(slope, pulled, rtol=1e-9, atol=1e-13)


def test_the_likeliest_token_is_always_in_the_head():
    log_p = torch.tensor([[0.98, 0.01, 0.01]], dtype=torch.float64).log()
    log_q = torch.tensor([[0.90, 0.05, 0.05]], dtype=torch.float64).log()
    expected = 0.5 * forward_kl(log_p, log_q) + 0.5 * reverse_kl(log_p, log_q)  # gaps 0.08 and 0.04 + 0.04
    torch.testing.assert_close(adaptive_kl(log_p, log_q, 0.5), expected, rtol=1e-12, atol=0)


def test_near_agreement():
    """To leading order AKL is either KL, and ToDi their sum: its weights, one half at x = 0, favour the wider gap."""
    p, q = logits()
    log_p, log_q = p.log_softmax(-1), (p + 1e-5 * q).log_softmax(-1)
    forward, reverse = forward_kl(log_p, log_q), reverse_kl(log_p, log_q)
    torch.testing.assert_close(adaptive_kl(log_p, log_q), (forward + reverse) / 2, rtol=1e-4, atol=0)
    torch.testing.assert_close(token_wise_kl(log_p, log_q), forward + reverse, rtol=1e-4, atol=0)


def test_every_summand_of_todi_is_positive_and_its_weights_are_constants():
    """I12, and the gradient with the weights held."""
    p, q = logits()
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    weight = torch.sigmoid(log_p - log_q)
    assert torch.allclose(weight + torch.sigmoid(log_q - log_p), torch.ones_like(weight))

    def held(a, b):
        return weight * a.exp() * (a - b) + (1 - weight) * b.exp() * (b - a)

    assert (held(log_p, log_q) >= 0).all()
    torch.testing.assert_close(token_wise_kl(log_p, log_q), held(log_p, log_q).sum(-1), rtol=1e-12, atol=0)
    slope = gradient(lambda a, b: held(a, b).sum(-1), p, q)
    torch.testing.assert_close(gradient(token_wise_kl, p, q), slope, rtol=1e-10, atol=1e-14)
