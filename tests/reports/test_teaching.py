"""What several teachers did, as a run's report shows it."""

from pathlib import Path

import pytest

from distill.reports.curves import learning
from distill.reports.gather import Run
from distill.reports.teaching import several, turns
from distill.rows import Row


def row(metric, value, step, split="train"):
    return Row("student", metric, value, "nats/token", split, step, 0)


def run(rows, order=("weak", "strong", "late")):
    return Run(Path("r"), {"teacher": {"order": list(order)}}, {}, {"state": "done"}, tuple(rows), (), {}, ())


@pytest.fixture
def scheduled() -> Run:
    """The second teacher takes over after 12 steps; rows come every ten, validation every six."""
    rows = [row("teachers/turn", float(step > 12), step) for step in (1, 10, 20, 30)]
    rows += [row("teachers/since", 12.0 if step > 12 else 0.0, step) for step in (1, 10, 20, 30)]
    rows += [row("loss/total", 5.0 - step / 10, step) for step in (1, 10, 20, 30)]
    rows += [row("nats_per_token", 6.0 - step / 12, step, "validation") for step in (0, 6, 12, 18, 24, 30)]
    return run(rows)


def test_a_takeover_has_its_own_step_not_that_of_the_next_row(scheduled):
    assert [(turn.name, turn.since) for turn in turns(scheduled)] == [("weak", 0), ("strong", 12)]


def test_teachers_in_turn_are_a_table_with_the_validation_under_each(scheduled):
    (table,) = several(scheduled)
    assert table.kind == "table"
    cells = [[item.text for item in line] for line in table.rows]
    assert cells[0] == ["weak", "0", "6", "5"]
    assert cells[1] == ["strong", "12", "5", "3.5"]
    assert cells[2] == ["late", "—", "—", "—"]


def test_takeovers_are_marked_in_every_panel_over_steps(scheduled):
    figure = learning([scheduled], ["student"])
    assert figure is not None
    assert all(panel.svg.count('class="rule"') == 1 and ">strong<" in panel.svg for panel in figure.panels)
    assert "took over" in figure.caption


def test_an_ensembles_divergence_stands_in_its_parts_on_one_axis():
    told = {"mean_kl": 3.0, "kl_of_mean": 2.25, "disagreement": 0.75}
    rows = [row(f"teachers/{name}", value - step / 100, step) for name, value in told.items() for step in (1, 10)]
    (figure,) = several(run(rows, order=()))
    assert figure.kind == "figure"
    assert figure.numbers is not None
    first = [item.value for item in figure.numbers.rows[0]]
    assert first[1:4] == pytest.approx([2.99, 2.24, 0.74])
    assert first[4] == pytest.approx(2.98)
    assert figure.panels[0].svg.count('class="line"') == 3


def test_one_teacher_throughout_has_no_section():
    single = run([row("loss/total", 1.0, 1), row("loss/total", 0.5, 2)])
    assert several(single) == []
    figure = learning([single], ["student"])
    assert figure is not None
    assert "took over" not in figure.caption
