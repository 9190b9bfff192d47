"""A map shows the means of its fields, and says which field has none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from distill.reports.cells import design
from distill.reports.gather import gather
from distill.reports.heatmap import heatmaps
from distill.reports.measures import ABSENT


def test_temperature_by_weight_for_each_teacher(sweep_folder: Path) -> None:
    plan = design(gather([sweep_folder]))
    first, *others = heatmaps(plan)
    assert "by temperature (across) and weight (down), one map for each teacher" in first.caption
    assert len(others) == 2, "every other pair of the three keys"
    assert first.numbers is not None
    known = {
        (f"teacher {cell.setting['teacher']}", cell.setting["objective.losses.kd.weight"]): [
            c.estimate("student", "bits_per_byte") for c in plan.cells
            if all(c.setting[k] == cell.setting[k] for k in ("teacher", "objective.losses.kd.weight"))
        ]
        for cell in plan.cells
    }  # fmt: skip
    told = [row for row in first.numbers.rows if row[0].text == "bits per byte"]
    assert len(told) == 4
    for row in told:
        means = [estimate.value for estimate in known[row[1].text, row[2].text] if estimate]
        assert [item.value for item in row[3:]] == pytest.approx(means)
    assert sum(item.best for row in told for item in row) == 1


def test_a_setting_without_a_finished_run_is_an_empty_field(tmp_path: Path, make_sweep: Callable[..., Path]) -> None:
    sweep = make_sweep(tmp_path / "s", seeds=(0,), teachers=("nursery",), steps=4)
    (sweep / "runs" / "run-000" / "metrics.jsonl").unlink()
    (figure,) = heatmaps(design(gather([sweep])))
    assert "no finished run" in figure.panels[0].svg
    assert figure.numbers is not None
    assert figure.numbers.rows[0][3].text == ABSENT


def test_one_key_makes_no_map(tmp_path: Path, make_sweep: Callable[..., Path]) -> None:
    sweep = make_sweep(tmp_path / "s", seeds=(0,), weights=(0.9,), teachers=("nursery",), steps=4)
    assert heatmaps(design(gather([sweep]))) == []
