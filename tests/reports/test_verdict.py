"""The verdict follows from the numbers alone."""

import math
from pathlib import Path

import pytest

from distill.reports.cells import Cell
from distill.reports.gather import Run
from distill.reports.verdict import verdict
from distill.rows import Row

BITS_PER_NAT = 0.55


def cell(*runs: dict[str, float], half: float | None = None) -> Cell:
    """Runs told by nats a token of each subject."""
    found = []
    for seed, told in enumerate(runs):
        rows = []
        for subject, nats in told.items():
            low, high = (None, None) if half is None else (nats - half, nats + half)
            rows.append(Row(subject, "nats_per_token", nats, "nats/token", "test", 9, seed, 100, low, high))
            rows.append(Row(subject, "bits_per_byte", nats * BITS_PER_NAT, "bits/byte", "test", 9, seed))
        found.append(Run(Path("run"), {}, {}, {}, tuple(rows), (), {}, ()))
    return Cell({}, tuple(found))


@pytest.mark.parametrize(
    ("control", "compute", "regime"),
    [
        (5.0, 4.8, "pays"),
        (5.0, None, "pays"),
        (5.0, 3.5, "steps pay more"),
        (3.5, 5.0, "does not pay"),
        (None, 5.0, "pays"),
        (None, None, "unknown"),
        (math.nan, 5.0, "unknown"),
    ],
)
def test_regime_of_one_run(control: float | None, compute: float | None, regime: str) -> None:
    told = {"teacher": 3.0, "student": 4.0, "control": control, "control_compute": compute}
    assert verdict(cell({k: v for k, v in told.items() if v is not None})).regime == regime


def test_differences_within_the_interval_decide_nothing() -> None:
    one = {"teacher": 3.0, "student": 4.0, "control": 4.1, "control_compute": 4.05}
    assert verdict(cell(one, half=0.2)).regime == "undecided"
    assert verdict(cell({**one, "control": 5.0}, half=0.2)).regime == "steps may do as much"
    assert verdict(cell(one, half=0.01)).regime == "pays"


def test_seeds_decide_by_their_paired_spread() -> None:
    """Seeds that are all worse or all better by chance do not hide a difference that is the same in each."""
    runs = [{"student": 4.0 + chance, "control": 4.2 + chance, "teacher": 3.0} for chance in (-0.5, 0.0, 0.6)]
    told = verdict(cell(*runs))
    assert told.regime == "pays"
    assert told.worth is not None
    assert told.worth.value == pytest.approx(0.2)
    assert told.worth.half == pytest.approx(0.0, abs=1e-12)
    assert "3 seeds" in told.sentence


def test_gap_closed_is_a_share_of_control_to_teacher() -> None:
    assert verdict(cell({"teacher": 3.0, "student": 4.0, "control": 5.0})).closed == pytest.approx(0.5)
    assert verdict(cell({"teacher": 3.0, "student": 3.0, "control": 5.0})).closed == pytest.approx(1.0)
    ahead = verdict(cell({"teacher": 5.5, "student": 4.0, "control": 5.0}))
    assert ahead.closed is None, "the teacher is behind the control: there is no gap to close"


def test_sentence_tells_its_numbers_and_what_it_does_not_know() -> None:
    told = verdict(cell({"teacher": 3.0, "student": 4.0, "control": 5.25}))
    assert "1.250 nats a token better" in told.sentence
    assert "56 %" in told.sentence
    assert "One seed, so no interval." in told.sentence
    assert "extra steps was not trained" in told.sentence
    assert verdict(cell({"teacher": 3.0})).headline == "No verdict"
    assert "No control was trained" in verdict(cell({"student": 4.0})).sentence
