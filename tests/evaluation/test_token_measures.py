"""Likelihood, agreement and calibration: closed forms, and torchmetrics where it computes the same."""

import math

import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError
from torchmetrics.text import Perplexity

from distill.evaluation.agreement import Agreement
from distill.evaluation.calibration import Calibration
from distill.evaluation.likelihood import Likelihood


def told(measure, *tokens) -> dict[str, float]:
    for one in tokens:
        measure.update(one)
    return {row.metric: row.value for row in measure.rows()}


@pytest.mark.parametrize("vocabulary", [2, 50, 1024])
def test_a_uniform_model_has_log_v_nats_a_token(seen, vocabulary):
    q = torch.full((6, vocabulary), 1 / vocabulary)
    found = told(Likelihood(), seen(q, [0, 1, 1, 0, 1, 0], bytes=12))
    assert found["nats_per_token"] == pytest.approx(math.log(vocabulary))
    assert found["perplexity"] == pytest.approx(vocabulary)
    assert found["bits_per_byte"] == pytest.approx(math.log2(vocabulary) / 2)


def test_perplexity_is_torchmetrics_perplexity(seen):
    torch.manual_seed(0)
    q, targets = torch.randn(40, 12, dtype=torch.float64).softmax(-1), torch.randint(0, 12, (40,))
    expected = Perplexity()(q.log()[None], targets[None]).item()
    assert told(Likelihood(), seen(q, targets))["perplexity"] == pytest.approx(expected, rel=1e-6)


def test_bytes_of_a_batch_are_counted_once(seen):
    q = torch.full((4, 2), 0.5)
    parts = seen(q, [0, 0, 0, 0], bytes=8), seen(q, [1, 1, 1, 1])
    assert told(Likelihood(), *parts)["bits_per_byte"] == pytest.approx(1.0)
    assert "bits_per_byte" not in told(Likelihood(), seen(q, [0, 0, 0, 0]))  # labels spell no bytes


def test_ends_of_the_interval_are_the_same_text_in_each_unit(seen):
    torch.manual_seed(0)
    measure = Likelihood()
    measure.update(seen(torch.randn(60, 5).softmax(-1), torch.randint(0, 5, (60,)), torch.arange(60) // 3, bytes=150))
    rows = {row.metric: row for row in measure.rows()}
    low, high = rows["nats_per_token"].low, rows["nats_per_token"].high
    assert rows["perplexity"].low == pytest.approx(math.exp(low))
    assert rows["bits_per_byte"].high == pytest.approx(high * 60 / 150 / math.log(2))
    assert {row.n for row in rows.values()} == {60}


def test_a_target_that_was_excluded_is_infinitely_surprising(seen):
    found = told(Likelihood(), seen([[1.0, 0.0]], [1]))
    assert found["nats_per_token"] == found["perplexity"] == math.inf


def test_the_teacher_agrees_with_itself_exactly(seen):
    p = torch.randn(50, 9).softmax(-1)
    found = told(Agreement(), seen(p, torch.zeros(50, dtype=torch.long), p=p))
    assert found == {"top1_agreement": 1.0, "kl_to_teacher": 0.0, "reverse_kl_to_teacher": 0.0}


def test_divergences_have_the_direction_they_say(seen):
    p, q = [[0.5, 0.5], [0.9, 0.1]], [[0.25, 0.75], [0.8, 0.2]]
    found = told(Agreement(), seen(q, [0, 0], p=p))
    pairs = list(zip(p, q, strict=True))
    forward = sum(a * math.log(a / b) for left, right in pairs for a, b in zip(left, right, strict=True)) / 2
    reverse = sum(b * math.log(b / a) for left, right in pairs for a, b in zip(left, right, strict=True)) / 2
    assert found["kl_to_teacher"] == pytest.approx(forward)
    assert found["reverse_kl_to_teacher"] == pytest.approx(reverse)


def test_agreement_does_not_ask_who_is_right(seen):
    p, q = [[0.7, 0.3], [0.7, 0.3], [0.2, 0.8]], [[0.6, 0.4], [0.4, 0.6], [0.1, 0.9]]
    for targets in ([0, 0, 0], [1, 1, 1]):
        assert told(Agreement(), seen(q, targets, p=p))["top1_agreement"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("sharpness", [0.2, 2.0, 8.0])
def test_calibration_error_is_torchmetrics_calibration_error(seen, bins, sharpness):
    torch.manual_seed(0)
    q, targets = (sharpness * torch.randn(800, 7, dtype=torch.float64)).softmax(-1), torch.randint(0, 7, (800,))
    found = told(Calibration(bins), seen(q[:300], targets[:300]), seen(q[300:], targets[300:]))
    assert found["ece"] == pytest.approx(MulticlassCalibrationError(7, n_bins=bins)(q, targets).item(), abs=1e-6)
    assert found["accuracy_top1"] == pytest.approx(MulticlassAccuracy(7, average="micro")(q, targets).item())


def test_a_calibrated_model_has_no_error_and_a_sure_and_wrong_one_has_all(seen):
    q = torch.tensor([[0.75, 0.25]]).repeat(4, 1)
    assert told(Calibration(), seen(q, [0, 0, 0, 1]))["ece"] == pytest.approx(0.0)
    assert told(Calibration(), seen([[1.0, 0.0]], [1]))["ece"] == pytest.approx(1.0)


def test_bins_hold_every_token_once_and_make_the_error(seen):
    torch.manual_seed(0)
    q, targets = torch.randn(500, 5).softmax(-1), torch.randint(0, 5, (500,))
    found = told(Calibration(), seen(q, targets))
    names = [f"reliability/{b:02d}" for b in range(1, 16)]
    assert sum(found[f"{name}/share"] for name in names) == pytest.approx(1.0)
    full = [name for name in names if found[f"{name}/share"] > 0]
    gaps = [abs(found[f"{n}/accuracy"] - found[f"{n}/confidence"]) * found[f"{n}/share"] for n in full]
    assert sum(gaps) == pytest.approx(found["ece"])
    for b, name in enumerate(names):
        if name in full:
            assert b / 15 - 1e-6 <= found[f"{name}/confidence"] <= (b + 1) / 15 + 1e-6
        else:
            assert f"{name}/accuracy" not in found


def test_nothing_seen_is_undefined():
    for measure in (Likelihood(), Calibration()):
        assert all(math.isnan(row.value) for row in measure.rows())
