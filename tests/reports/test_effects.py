"""Main effects and shares against designs whose answer is known."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from distill.reports import effects
from distill.reports.cells import Cell, Design
from distill.reports.gather import Run
from distill.rows import Row


def plan(function: Callable[[float, float], float], leave_out: int = 0) -> Design:
    """A 3 × 2 design of which ``function`` gives the student's bits per byte."""
    values = {"a": ("1", "2", "3"), "b": ("0", "1")}
    cells = []
    for a, b in product(*values.values()):
        row = Row("student", "bits_per_byte", function(float(a), float(b)), "bits/byte", "test", 1, 0)
        cells.append(Cell({"a": a, "b": b}, (Run(Path("run"), {}, {}, {}, (row,), (), {}, ()),)))
    return Design(("a", "b"), values, {"a": "a", "b": "b"}, tuple(cells[leave_out:]), 1)


def told(design: Design) -> dict[str, float]:
    table = effects.shares(design)
    assert table is not None
    return {name.text: share.value or 0.0 for name, share in table.rows}


def test_keys_that_add_up_do_not_interact() -> None:
    shares = told(plan(lambda a, b: a + 2 * b))
    assert shares["a × b"] == pytest.approx(0, abs=1e-12)
    assert shares["a"] == pytest.approx(4 / 10)  # 2 * sum (a - 2)^2 = 4; 3 * 2 * (1/2 * 2)^2 = 6
    assert sum(shares.values()) == pytest.approx(1)


def test_keys_that_only_act_together() -> None:
    shares = told(plan(lambda a, b: (a - 2) * (2 * b - 1)))
    assert shares == {"a": pytest.approx(0), "b": pytest.approx(0), "a × b": pytest.approx(1)}


def test_an_incomplete_design_has_effects_but_no_shares() -> None:
    assert effects.shares(plan(lambda a, b: a + b, leave_out=1)) is None
    assert effects.main_effects(plan(lambda a, b: a + b, leave_out=1)) is not None


def test_main_effects_are_means_over_the_other_key() -> None:
    figure = effects.main_effects(plan(lambda a, b: a + 2 * b))
    assert figure is not None
    assert figure.numbers is not None
    means = {(row[0].text, row[1].text): row[2].value for row in figure.numbers.rows}
    assert means == {("a", "1"): 2, ("a", "2"): 3, ("a", "3"): 4, ("b", "0"): 2, ("b", "1"): 4}


def test_a_sweep_that_is_half_done_compares_like_with_like() -> None:
    figure = effects.main_effects(plan(lambda a, b: a + 2 * b, leave_out=1))  # (1, 0) is not there yet
    assert figure is not None
    assert figure.numbers is not None
    means = {(row[0].text, row[1].text): row[2].value for row in figure.numbers.rows}
    assert means == {("a", "1"): 3, ("a", "2"): 4, ("a", "3"): 5, ("b", "0"): 2.5, ("b", "1"): 4.5}
    assert "Not every combination" in figure.caption
