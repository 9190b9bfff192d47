"""The benchmark of the pass: what it compares computes the same, and it leaves rows behind."""

import argparse

import pytest
import torch

from benchmarks.variants import VARIANTS, Work, floor
from benchmarks.vocabulary import Measured, measure, peak, prepared, rows, targets


def test_ours_and_the_naive_form_agree():
    work = Work(97, 24, 0.5)
    runs = prepared(["ours KL", "naive KL", "ours JSD", "naive JSD"])
    values, gradients = {}, {}
    for name, run in runs.items():
        work.hidden.grad = work.weight.grad = None
        values[name] = run(work).item()
        assert work.weight.grad is not None
        gradients[name] = work.weight.grad.clone()
    for kind in ("KL", "JSD"):
        assert values[f"ours {kind}"] == pytest.approx(values[f"naive {kind}"], rel=1e-5)
        mean = gradients[f"ours {kind}"] / 12  # ours is a sum
        torch.testing.assert_close(mean, gradients[f"naive {kind}"], rtol=1e-4, atol=1e-7)


def test_the_floor_makes_no_gradient_but_its_products():
    work = Work(97, 24, 0.5)
    assert floor(work).isfinite()
    assert work.weight.grad is None


def test_ours_and_the_naive_form_of_the_likeliest_tokens_differ_by_the_bucket_only():
    work = Work(97, 24, 0.5)
    runs = prepared(["ours top-64", "naive top-64"])
    tail = work.kept.tail.exp().mean().item()
    assert 0 < tail < 0.5
    assert runs["ours top-64"](work).item() != pytest.approx(runs["naive top-64"](work).item(), rel=1e-3)
    everything = Work(64, 24, 0.5)  # no bucket
    values = [run(everything).item() for run in runs.values()]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_rows_and_table(capsys):
    options = argparse.Namespace(supervised=1.0, device="cpu", rounds=2, memory=True)
    measured = measure("97x24", ["floor", "ours KL", "naive KL"], options)
    made = rows("97x24", measured, options)
    told = {(row.subject, row.metric.rsplit("/", 1)[1]) for row in made}
    assert told == {
        (name, what)
        for name in measured
        for what in ("ratio", "behind", "time", "peak")
        if (name, what) != ("floor", "behind")
    }
    assert "| ours KL |" in capsys.readouterr().out


def test_a_peak_is_that_of_the_run_alone():
    work = Work(97, 24, 1.0)
    held = []
    assert peak(lambda work: held.append(torch.ones(8 << 20)), work) == pytest.approx(
        32, abs=8
    )  # a fork faults its libraries in again
    assert not held


def test_targets_say_what_was_met():
    took = {"floor": 1.0, "ours KL": 1.1, "TRL KL": 1.5, "Liger KL": 1.2, "naive KL": 2.0}
    lines = [t.line() for t in targets({name: Measured([t, t], 300.0 * t) for name, t in took.items()}, 1.0)]
    assert "| ours KL / floor | ≤ 1.20 | 1.10 | met |" in lines
    assert "| TRL KL / ours | ≥ 1.70 | 1.36 | missed |" in lines
    assert "| TRL JSD / ours | ≥ 2.50 | not measured | |" in lines


def test_every_variant_has_a_floor_that_is_measured_first():
    names = list(VARIANTS)
    assert all(
        names.index(variant.floor) <= names.index(name) or variant.kind == "floor" for name, variant in VARIANTS.items()
    )
