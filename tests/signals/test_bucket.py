"""The bucket's hand-written gradient is the one that autograd makes of the formula."""

import pytest
import torch

from distill.signals.bucket import _plain, bucketed


def logits(seed: int, excluded: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = 4 * torch.randn(5, 11, generator=generator, dtype=torch.float64)
    values[:, :excluded] = -torch.inf
    ids = torch.stack([torch.randperm(11, generator=generator)[:3] for _ in range(5)])
    return values.requires_grad_(), ids


def plainly(values: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    return torch.cat([values.gather(-1, ids), _plain(values, ids)], dim=-1)


@pytest.mark.parametrize("excluded", [0, 4])
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient_are_the_formula_s(seed, excluded) -> None:
    values, ids = logits(seed, excluded)
    made, plain = bucketed(values, ids), plainly(values, ids)
    assert torch.allclose(made, plain, rtol=1e-14, atol=0)
    pull = torch.randn_like(made)
    on_made, on_plain = (torch.autograd.grad(x, values, pull)[0] for x in (made, plain))
    assert torch.allclose(on_made, on_plain, rtol=1e-12, atol=1e-15)


def test_the_gradient_is_the_slope() -> None:
    values, ids = logits(7)
    assert torch.autograd.gradcheck(lambda v: bucketed(v, ids), (values,))


def test_an_empty_bucket_is_minus_infinity_and_pulls_at_nothing() -> None:
    values = torch.tensor([[0.5, -torch.inf, 1.0]], requires_grad=True)
    made = bucketed(values, torch.tensor([[0, 2]]))
    assert made.tolist() == [[0.5, 1.0, -torch.inf]]
    made[:, :2].sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [[1.0, 0.0, 1.0]]


def test_logits_far_from_zero_do_not_overflow() -> None:
    values = torch.tensor([[900.0, 901.0, 902.0, -900.0]])
    rest = bucketed(values, torch.tensor([[3]]))[0, -1]
    assert rest == pytest.approx(float(values[0, :3].double().logsumexp(-1)), rel=1e-6)
