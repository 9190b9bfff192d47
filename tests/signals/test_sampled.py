"""Random sampling is unbiased for soft cross-entropy, value and gradient, with the variance of the paper (I16)."""

import pytest
import torch

from distill.divergences.soft_cross_entropy import soft_cross_entropy
from distill.errors import BadInput
from distill.signals.dense import Dense
from distill.signals.sampled import Sampled

V = 11


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sampled(teacher: torch.Tensor, draws: int, temperature: float = 1.0, seed: int = 0) -> Sampled:
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(teacher.shape[0], draws, generator=generator, dtype=torch.float64)
    return Sampled.of(teacher, uniform, temperature)


def shares(signal: Sampled) -> torch.Tensor:
    ids, log_t = signal.chunk(slice(None))
    return torch.zeros(len(ids), signal.vocabulary).scatter_add_(-1, ids, log_t.exp())


def test_counts_are_of_different_tokens_and_make_up_all_draws():
    signal = sampled(logits(6, V), 50)
    assert (signal.counts.sum(-1) == 50).all()
    for ids, counts in zip(signal.ids, signal.counts, strict=True):
        kept = ids[counts > 0].tolist()
        assert len(kept) == len(set(kept))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_mean_and_variance_are_the_multinomials(temperature):
    """E[t] = p and Var[t_i] = p_i (1 − p_i) / n, over 20,000 positions of one distribution."""
    teacher = logits(1, V).expand(20_000, V)
    draws = 8
    p = (teacher[0] / temperature).softmax(-1).float()
    t = shares(sampled(teacher, draws, temperature))
    deviation = (p * (1 - p) / draws / 20_000).sqrt()
    assert ((t.mean(0) - p).abs() < 5 * deviation).all()
    torch.testing.assert_close(t.var(0), p * (1 - p) / draws, rtol=0.1, atol=1e-4)


def test_different_tokens_are_as_many_as_expected():
    """E[#different] = Σ 1 − (1 − p_i)^n."""
    teacher = logits(1, V).expand(20_000, V)
    p = teacher[0].softmax(-1)
    found = (sampled(teacher, 8).counts > 0).sum(-1).double().mean().item()
    assert found == pytest.approx((1 - (1 - p) ** 8).sum().item(), rel=0.01)


def test_value_and_gradient_are_unbiased_for_soft_cross_entropy():
    teacher = logits(1, V).expand(40_000, V)
    student = logits(1, V, seed=1)
    made = []
    for signal in (Dense(teacher), sampled(teacher, 10)):
        leaf = student.clone().requires_grad_()
        log_p, log_q = signal.pair(signal.chunk(slice(None)), leaf.expand(40_000, V), 1.0)
        value = soft_cross_entropy(log_p, log_q).mean()
        value.backward()
        made.append((value.item(), leaf.grad))
    assert made[1][0] == pytest.approx(made[0][0], abs=0.01)
    torch.testing.assert_close(made[1][1], made[0][1], rtol=0, atol=0.005)


def test_a_token_without_mass_is_never_drawn():
    teacher = torch.full((1, V), -torch.inf, dtype=torch.float64)
    teacher[0, [3, 7]] = 0.0
    uniform = torch.tensor([[0.0, 0.25, 0.5, 0.75, 1 - 2**-53]], dtype=torch.float64)
    signal = Sampled.of(teacher, uniform, 1.0)
    assert set(signal.ids[signal.counts > 0].tolist()) == {3, 7}


def test_another_temperature_is_refused_and_only_its_own_need_is_answered():
    signal = sampled(logits(2, V), 5)
    assert signal.provides == {"sampled"}
    with pytest.raises(BadInput, match="drawn at temperature 1 "):
        signal.pair(signal.chunk(slice(None)), logits(2, V), 2.0)
