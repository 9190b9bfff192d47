"""The scaling law is found where it holds, predicts what it has not seen, and refuses what determines none."""

import itertools

import numpy as np
import pytest
import yaml

from distill.__main__ import main
from distill.errors import BadInput
from distill.evidence.scaling import NAMES, Fitted, Point, fitted, point
from distill.reports.gather import read_run
from distill.rows import METRICS, Row, append

pytest.importorskip("scipy", reason="needs scipy")

LAW = (5.0, 0.5, 6.0, 0.6, 1.2)


def points(noise: float = 0.0) -> list[Point]:
    """Sixteen students of the law itself."""
    chance, made = np.random.default_rng(0), []
    for parameters, tokens in itertools.product((2e4, 8e4, 3e5, 1e6), (5e4, 2e5, 8e5, 3e6)):
        exact = Fitted(LAW, LAW, LAW, 0.0, 0.0, 0).loss(parameters, tokens, 3.0)
        made.append(Point(parameters, tokens, 3.0 + (exact - 3.0) * float(np.exp(noise * chance.normal())), 3.0))
    return made


def test_a_law_without_noise_is_predicted_to_the_fourth_digit():
    found = fitted(points())
    assert found.error < 1e-4
    assert found.left_out < 1e-3
    exact = Fitted(LAW, LAW, LAW, 0.0, 0.0, 0)
    for where in ((5e4, 1e6), (2e6, 6e6)):
        assert found.loss(*where, 2.5) == pytest.approx(exact.loss(*where, 2.5), rel=1e-3)


def test_intervals_hold_the_fitted_numbers_and_the_same_points_give_the_same_law():
    noisy = points(0.03)
    found = fitted(noisy)
    assert all(low <= high for low, high in zip(found.low, found.high, strict=True))
    assert found.error < found.left_out < 0.1
    assert fitted(noisy) == found
    assert len(NAMES) == len(found.values)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (points()[:5], "needs 8 students"),
        ([Point(1e5, 1e5 * (i + 1), 4.0, 3.0) for i in range(9)], "one size"),
        ([*points()[:-1], Point(1e6, 1e6, 2.9, 3.0)], "better than its teacher"),
    ],
)
def test_what_determines_no_law_is_refused(told, reason):
    with pytest.raises(BadInput, match=reason):
        fitted(told)


def test_the_verb_reads_sizes_and_budgets_from_the_runs(tmp_path, capsys):
    for number, one in enumerate(points(0.01)):
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        config = {"data": {"batch_size": 10, "sequence_length": 100}, "trainer": {"accumulate_grad_batches": 2}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        told = [("student", "nats_per_token", one.loss, "test"), ("student", "parameters", one.parameters, "none")]
        told += [("teacher", "nats_per_token", one.teacher, "test")]
        step = int(one.tokens / 2000)
        rows = [Row(subject, metric, value, "1", split, step, 0) for subject, metric, value, split in told]
        append(folder / METRICS, rows)
        found = point(read_run(folder))
        assert found is not None
        assert (found.parameters, found.tokens) == (one.parameters, one.tokens)
    assert main(["scaling", str(tmp_path)]) == 0
    assert "16 students; off by 0.0" in capsys.readouterr().out
