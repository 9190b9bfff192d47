"""Measures of tasks: a second opinion on F1; and a drawn order is a right one."""

import random

import pytest
import torch

from distill.evaluation.classified import Classified
from distill.evaluation.measure import Tokens
from experiments.kim_rush_2016.orders import drawn, orders_of, right


def test_accuracy_and_macro_f1_are_torchmetrics():
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

    draws = torch.Generator().manual_seed(3)
    logits, targets = torch.randn(200, 5, generator=draws), torch.randint(0, 5, (200,), generator=draws)
    measure = Classified()
    for rows in (slice(0, 90), slice(90, 200)):
        measure.update(Tokens(logits[rows].log_softmax(-1), targets[rows], torch.arange(200)[rows]))
    told = {row.metric: row.value for row in measure.rows()}
    assert told["accuracy"] == pytest.approx(float(multiclass_accuracy(logits, targets, 5, average="micro")))
    assert told["macro_f1"] == pytest.approx(float(multiclass_f1_score(logits, targets, 5, average="macro")))


def test_every_drawn_order_is_right_and_many_others_are():
    draws = random.Random(1)
    for _ in range(50):
        assert right(*drawn(draws))
    told = orders_of("a b c d e k")  # two whole pairs: a quarter of 720
    assert sum(told.values()) == 180
    assert not right("a b c d e f", "a b c d e")
    assert not right("a b c d e f", "b a c d e f")
