"""Bounded distances: what they are besides their formula."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.divergences.kl import forward_kl, reverse_kl
from distill.divergences.total_variation import squared_hellinger, total_variation
from tests.divergences.discovered import logits


@given(seed=st.integers(0, 10**6), spread=st.floats(0.1, 8.0))
@settings(max_examples=30, deadline=None)
def test_overlap_pinsker_and_hellinger(seed, spread):
    """I15: 1 − Σ min(p, q), the rate of speculative rejection; at most √(KL / 2) in both directions."""
    log_p, log_q = (x.log_softmax(-1) for x in logits(seed=seed, spread=spread))
    distance = total_variation(log_p, log_q)
    overlap = torch.minimum(log_p.exp(), log_q.exp()).sum(-1)
    torch.testing.assert_close(distance, 1 - overlap, rtol=1e-12, atol=1e-14)
    for kl in (forward_kl(log_p, log_q), reverse_kl(log_p, log_q)):
        assert (distance <= (kl / 2).sqrt() + 1e-12).all()
    hellinger = squared_hellinger(log_p, log_q)
    torch.testing.assert_close(hellinger, 1 - (0.5 * (log_p + log_q)).exp().sum(-1), rtol=1e-12, atol=1e-14)
    assert (hellinger <= distance + 1e-12).all()
    assert (distance <= (2 * hellinger).sqrt() + 1e-12).all()


def test_of_distributions_that_share_nothing_is_one():
    log_p = torch.tensor([[0.0, -torch.inf]], dtype=torch.float64)
    assert total_variation(log_p, log_p.flip(-1)).item() == 1.0
    assert squared_hellinger(log_p, log_p.flip(-1)).item() == 1.0
