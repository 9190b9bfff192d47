"""Brier, bins of equal counts, and the temperature that repairs."""

import pytest
import torch

from distill.evaluation.scaled_calibration import ScaledCalibration


def values(measure):
    return {row.metric: row.value for row in measure.rows()}


def sampled(count=4000, vocabulary=8, heat=1.0, seed=0):
    """A model that is right about ``softmax(z)`` and says ``softmax(z / heat)``."""
    chance = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, vocabulary, generator=chance, dtype=torch.float64)
    targets = torch.multinomial(logits.softmax(-1), 1, generator=chance)[:, 0]
    return (logits / heat).softmax(-1), targets, torch.arange(count)


def test_brier_is_zero_for_the_sure_and_right_and_two_for_the_sure_and_wrong(seen):
    for target, expected in ((0, 0.0), (1, 2.0)):
        measure = ScaledCalibration()
        measure.update(seen([[1 - 2e-12, 1e-12, 1e-12]], [target]))
        assert values(measure)["brier"] == pytest.approx(expected, abs=1e-9)


def test_brier_of_the_uniform(seen):
    measure = ScaledCalibration()
    measure.update(seen([[0.25] * 4], [2]))
    assert values(measure)["brier"] == pytest.approx(0.75)


def test_one_bin_is_confidence_minus_accuracy(seen):
    measure = ScaledCalibration(bins=1)
    measure.update(seen([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], [0, 1, 1]))
    assert values(measure)["adaptive_ece"] == pytest.approx(abs((0.9 + 0.6 + 0.8) - 2) / 3)


@pytest.mark.parametrize("heat", [0.6, 1.0, 1.6])
def test_a_model_that_is_wrong_by_a_temperature_is_repaired_by_its_inverse(seen, heat):
    measure = ScaledCalibration()
    q, targets, owners = sampled(heat=heat)
    for start in range(0, len(q), 1500):
        rows = slice(start, start + 1500)
        measure.update(seen(q[rows], targets[rows], owners[rows]))
    told = values(measure)
    assert told["calibration_temperature"] == pytest.approx(1 / heat, rel=0.08)
    assert told["adaptive_ece_scaled"] < 0.04
    assert told["adaptive_ece_scaled"] <= told["adaptive_ece"] + 0.02
    if heat != 1.0:
        assert told["adaptive_ece"] > 0.06


def test_what_is_cut_into_batches_gives_the_same(seen):
    q, targets, owners = sampled(count=60)
    whole, cut = ScaledCalibration(), ScaledCalibration()
    whole.update(seen(q, targets, owners))
    for start in range(0, 60, 7):
        cut.update(seen(q[start : start + 7], targets[start : start + 7], owners[start : start + 7]))
    assert values(whole) == pytest.approx(values(cut))


def test_one_sample_has_no_half_to_fit_on_and_nothing_seen_has_no_rows(seen):
    measure = ScaledCalibration()
    assert measure.rows() == []
    measure.update(seen([[0.5, 0.5]], [0]))
    assert set(values(measure)) == {"brier", "adaptive_ece"}
