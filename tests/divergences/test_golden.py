"""Values against a reference written from the formulas in numpy float64, sharing no line with the code."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.divergences.discovered import functions, logits

Array = NDArray[np.float64]


def kl(p: Array, q: Array) -> float:
    return float(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0))


def jsd(p: Array, q: Array, beta: float) -> float:
    m = beta * p + (1 - beta) * q
    return beta * kl(p, m) + (1 - beta) * kl(q, m)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def ab(p: Array, q: Array, a: float, b: float) -> float:
    return float(-np.sum(p**a * q**b - a / (a + b) * p ** (a + b) - b / (a + b) * q ** (a + b)) / (a * b))


def akl(p: Array, q: Array, mass: float) -> float:
    order = np.argsort(-p)
    head = [i for n, i in enumerate(order) if n == 0 or p[order[: n + 1]].sum() <= mass]
    gap = np.abs(p - q)
    share = gap[head].sum() / gap.sum()
    return share * kl(p, q) + (1 - share) * kl(q, p)


def todi(p: Array, q: Array) -> float:
    total = 0.0
    for a, b in zip(p, q, strict=True):
        w = sigmoid(math.log(a) - math.log(b))
        total += w * a * math.log(a / b) + (1 - w) * b * math.log(b / a)
    return total


REFERENCE = {
    "forward_kl": kl,
    "reverse_kl": lambda p, q: kl(q, p),
    "symmetric_kl": lambda p, q: 0.5 * kl(p, q) + 0.5 * kl(q, p),
    "jensen_shannon": lambda p, q: jsd(p, q, 0.5),
    "normalised_jensen_shannon": lambda p, q: 4 * jsd(p, q, 0.5),
    "skew_forward_kl": lambda p, q: kl(p, 0.1 * p + 0.9 * q),
    "skew_reverse_kl": lambda p, q: kl(q, 0.9 * p + 0.1 * q),
    "adaptive_kl": lambda p, q: akl(p, q, 0.5),
    "token_wise_kl": todi,
    "total_variation": lambda p, q: float(np.abs(p - q).sum() / 2),
    "squared_hellinger": lambda p, q: float(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2),
    "alpha_beta": lambda p, q: ab(p, q, 0.2, 0.7),
    "renyi": lambda p, q: -2 * math.log(float(np.sqrt(p * q).sum())),
    "soft_cross_entropy": lambda p, q: float(-np.sum(p * np.log(q))),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_equals_the_reference(name):
    p, q = (x.log_softmax(-1) for x in logits(rows=25, vocabulary=17))
    made = functions()[name](p, q)
    expected = [REFERENCE[name](a, b) for a, b in zip(p.exp().numpy(), q.exp().numpy(), strict=True)]
    torch.testing.assert_close(made, torch.tensor(expected, dtype=torch.float64), rtol=1e-11, atol=1e-14)


def test_one_position_to_fifteen_digits():
    """p = (½, ¼, ¼), q = (¼, ¼, ½): numbers that can be checked on paper."""
    log_p = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log()
    log_q = torch.tensor([[0.25, 0.25, 0.5]], dtype=torch.float64).log()
    golden = {
        "forward_kl": 0.25 * math.log(2),
        "reverse_kl": 0.25 * math.log(2),
        "jensen_shannon": 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3),
        "total_variation": 0.25,
        "squared_hellinger": 0.75 - math.sqrt(0.5),
        "soft_cross_entropy": 1.75 * math.log(2),
    }
    for name, value in golden.items():
        assert functions()[name](log_p, log_q).item() == pytest.approx(value, rel=1e-14), name
