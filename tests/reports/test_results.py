"""What is marked as best: what can be told from the others, and nothing else."""

import pytest

from distill.reports.cells import Cell, Design
from distill.reports.intervals import Estimate
from distill.reports.measures import BITS, DECODE
from distill.reports.results import _best, _order
from distill.reports.verdict import Verdict


@pytest.mark.parametrize(
    ("column", "marked"),
    [
        ([Estimate(2.0), Estimate(2.1)], (0,)),
        ([Estimate(2.0), Estimate(2.0 + 1e-9), Estimate(2.1)], (0, 1)),  # a sum in another order
        ([Estimate(2.0), Estimate(2.0 + 1e-9)], ()),
        ([Estimate(2.0, 1.9, 2.1), Estimate(2.05, 1.95, 2.15), Estimate(2.5, 2.4, 2.6)], (0, 1)),
        ([Estimate(2.0, 1.5, 2.5), Estimate(2.1, 1.6, 2.6)], ()),
        ([Estimate(float("nan")), Estimate(2.0), Estimate(3.0)], (1,)),
        ([None, Estimate(2.0)], ()),
    ],
)
def test_ties_within_the_interval_or_within_rounding_are_ties(column, marked):
    assert _best(column, BITS) == marked


def test_a_clock_has_its_noise():
    assert _best([Estimate(100.0), Estimate(104.0), Estimate(50.0)], DECODE) == (0, 1)


@pytest.mark.parametrize(
    ("values", "order"), [(("mse", "kl", "jsd", "none"), [1, 0, 2, 3]), (("1", "2", "4", "8"), [0, 1, 2, 3])]
)
def test_words_stand_in_the_order_of_their_worth_and_numbers_in_their_own(values, order):
    cells = tuple(Cell({"kd": value}, ()) for value in values)
    design = Design(("kd",), {"kd": values}, {"kd": "kd"}, cells, 3)
    worths = (Estimate(0.1), Estimate(0.7), Estimate(float("nan")), None)
    assert _order(design, [Verdict("unknown", "", "", worth) for worth in worths]) == order
