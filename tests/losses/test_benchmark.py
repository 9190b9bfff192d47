"""The benchmark of the pass: what it compares computes the same, and it leaves rows behind."""

import argparse

import pytest
import torch

from benchmarks.vocabulary import Work, floor, measure, prepared


def test_ours_and_the_naive_form_agree():
    work = Work(97, 24, 0.5)
    runs = prepared(["ours KL eager", "naive KL", "ours JSD eager", "naive JSD"])
    values, gradients = {}, {}
    for name, run in runs.items():
        work.hidden.grad = work.weight.grad = None
        values[name] = run(work).item()
        assert work.weight.grad is not None
        gradients[name] = work.weight.grad.clone()
    for kind in ("KL", "JSD"):
        assert values[f"ours {kind} eager"] == pytest.approx(values[f"naive {kind}"], rel=1e-5)
        mean = gradients[f"ours {kind} eager"] / 12  # ours is a sum
        torch.testing.assert_close(mean, gradients[f"naive {kind}"], rtol=1e-4, atol=1e-7)


def test_the_floor_makes_no_gradient_but_its_products():
    work = Work(97, 24, 0.5)
    assert floor(work).isfinite()
    assert work.weight.grad is None


def test_rows_and_table(capsys):
    options = argparse.Namespace(supervised=1.0, device="cpu", rounds=2, memory=False)
    rows = measure("97x24", ["floor", "ours KL eager"], options)
    assert {(row.subject, row.metric, row.n) for row in rows} == {
        (name, f"vocabulary/97x24/1/{what}", 2) for name in ("floor", "ours KL eager") for what in ("ratio", "time")
    }
    assert "ours KL eager" in capsys.readouterr().out
