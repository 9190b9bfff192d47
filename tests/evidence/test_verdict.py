"""The rule of the verdict: what holds, what is contradicted, what cannot be told."""

import itertools
import math
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from distill.evidence.claim import Claim, Expectation, Place
from distill.evidence.verdict import bootstrapped, judged


def claim(*expected: Expectation) -> Claim:
    return Claim("x", Path("x"), "p", "s", "c", ("m",), {"a": (), "b": ()}, (), expected)


def below(margin: float = 0.0) -> Expectation:
    return Expectation("a below b", "m", Place("a"), Place("b"), margin=margin)


def near(margin: float) -> Expectation:
    return Expectation("a near b", "m", Place("a"), Place("b"), relation="near", margin=margin)


def outcome(expectation: Expectation, told) -> str:
    return judged(claim(expectation), told).findings[0].outcome


def test_the_interval_is_that_of_every_draw_there_is():
    numbers = [0.3, -0.1, 0.7, 0.2]
    means = np.sort([fmean(draw) for draw in itertools.product(numbers, repeat=4)])
    cut = [means[math.ceil(q * len(means)) - 1] for q in (0.025, 0.975)]
    assert bootstrapped(numbers) == pytest.approx(cut)


def test_three_seeds_have_to_agree():
    assert bootstrapped([0.1, 0.2, 0.9]) == pytest.approx((0.1, 0.9))


def test_many_seeds_are_drawn_the_same_way_every_time():
    numbers = list(np.random.default_rng(0).normal(1.0, 1.0, 40))
    low, high = bootstrapped(numbers)
    assert (low, high) == bootstrapped(numbers)
    normal = 1.96 * np.std(numbers) / math.sqrt(40)
    assert low == pytest.approx(np.mean(numbers) - normal, abs=0.05)
    assert high == pytest.approx(np.mean(numbers) + normal, abs=0.05)


def test_lower_holds_where_every_seed_says_so(results):
    assert outcome(below(), results({"a": [1, 2, 3], "b": [1.1, 2.2, 3.1]})) == "holds"
    assert outcome(below(0.15), results({"a": [1, 2, 3], "b": [1.1, 2.2, 3.1]})) == "cannot be told"
    assert outcome(below(), results({"a": [1, 2, 3], "b": [0.9, 1.9, 2.9]})) == "contradicted"
    assert outcome(below(), results({"a": [1, 2, 3], "b": [1.1, 1.9, 3.1]})) == "cannot be told"
    assert outcome(below(), results({"a": [1, 1, 1], "b": [1, 1, 1]})) == "cannot be told"


def test_near_is_a_claim_of_its_own(results):
    told = results({"a": [1.0, 2.0, 3.0], "b": [1.01, 1.99, 3.0]})
    assert outcome(near(0.02), told) == "holds"
    assert outcome(near(0.005), told) == "cannot be told"
    assert outcome(near(0.02), results({"a": [1, 2, 3], "b": [2, 3, 4]})) == "contradicted"


def test_pairs_are_made_by_seed_and_two_of_them_say_nothing(results):
    told = results({"a": [1, 2, 3], "b": [5, 6]})
    assert outcome(below(), told) == "not measured"
    assert judged(claim(below()), told).word == "not run"


def test_an_undefined_number_is_never_a_success(results):
    assert outcome(below(), results({"a": [math.nan, 1, 1], "b": [2, 2, 2]})) == "cannot be told"


def test_runs_that_swept_something_else_too_are_not_the_design(results):
    told = results({"a": [1, 1, 1], "b": [2, 2, 2]}, swept={"student.width": "8"})
    assert judged(claim(below()), told).word == "not run"


def test_the_word_follows_from_the_outcomes(results):
    told = results({"a": [1, 1, 1], "b": [2, 2, 2]})
    reverse = Expectation("b below a", "m", Place("b"), Place("a"))
    assert judged(claim(below()), told).counted == "reproduced (1 of 1, 1 of them by Student's t too)"
    half = "partly (1 of 2, 1 of them by Student's t too; 1 contradicted)"
    assert judged(claim(below(), reverse), told).counted == half
    assert judged(claim(reverse), told).counted == "not reproduced (0 of 1; 1 contradicted)"
    assert judged(claim(below(), reverse, reverse), told).word == "not reproduced"


def test_a_finding_says_what_the_stricter_interval_says(results):
    told = results({"a": [1.0, 1.0, 1.0], "b": [1.1, 1.2, 1.9]})
    judgement = judged(claim(below()), told)
    (finding,) = judgement.findings
    deviation = np.std([-0.1, -0.2, -0.9], ddof=1)
    assert finding.half == pytest.approx(4.303 * deviation / math.sqrt(3), rel=1e-3)
    assert finding.outcome == "holds"
    assert not finding.strictly
    assert judgement.counted == "reproduced (1 of 1, none of them by Student's t too)"


def test_where_nothing_differs_one_of_eight_claims_of_three_seeds_holds():
    """The rule's own error, as its file tells it."""
    signs = list(itertools.product([-1.0, 1.0], repeat=3))
    held = sum(bootstrapped(list(one))[1] < 0 for one in signs)
    assert held / len(signs) == 1 / 8
