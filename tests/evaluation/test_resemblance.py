"""Divergence, order and overlap against their definitions."""

import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import spearmanr

from distill.evaluation.resemblance import Resemblance


def values(measure):
    return {row.metric: row.value for row in measure.rows()}


def test_equal_distributions_are_wholly_alike(seen):
    q = torch.rand(7, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    q = q / q.sum(-1, keepdim=True)
    measure = Resemblance(top=5)
    measure.update(seen(q, [0] * 7, p=q))
    told = values(measure)
    assert told["jsd_to_teacher"] == pytest.approx(0.0, abs=1e-12)
    assert told["rank_correlation_to_teacher"] == 1.0
    assert told["top5_overlap_to_teacher"] == 1.0


def test_against_scipy(seen):
    chance = torch.Generator().manual_seed(1)
    p, q = (torch.rand(6, 30, generator=chance, dtype=torch.float64).softmax(-1) for _ in range(2))
    measure = Resemblance(top=8)
    measure.update(seen(q[:2], [0] * 2, p=p[:2]))
    measure.update(seen(q[2:], [0] * 4, [1] * 4, p=p[2:]))
    told = values(measure)
    assert told["jsd_to_teacher"] == pytest.approx(sum(jensenshannon(a, b) ** 2 for a, b in zip(p, q, strict=True)) / 6)
    order = []
    for one, other in zip(p, q, strict=True):
        best = one.topk(8).indices
        order.append(spearmanr(one[best], other[best]).statistic)
    assert told["rank_correlation_to_teacher"] == pytest.approx(sum(order) / 6)


def test_a_reversed_order_is_minus_one_and_strangers_overlap_nowhere(seen):
    p = torch.tensor([[0.4, 0.3, 0.15, 0.1, 0.05, 0.0, 0.0, 0.0]]) + 1e-9
    measure = Resemblance(top=3)
    measure.update(seen(p.flip(-1), [0], p=p))
    assert values(measure)["top3_overlap_to_teacher"] == 0.0
    p = torch.tensor([[0.5, 0.3, 0.2]])
    measure = Resemblance(top=3)
    measure.update(seen(p.flip(-1), [0], p=p))
    assert values(measure)["rank_correlation_to_teacher"] == -1.0
