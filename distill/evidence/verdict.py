"""The rule by which a claim is *reproduced*, *partly* so, or *not reproduced*. No person decides.

An expectation compares two places run by run: with equal seeds they share data order and initial weights. Let d be
the paired differences (first − second), one a seed, at least three, and [low, high] the 2.5 % and 97.5 % quantiles of
the mean of n draws from them with replacement (all n^n draws are enumerated up to n = 6, then 10,000 are drawn).

    lower  holds if high < −margin, is contradicted if low > −margin, else it cannot be told
    near   holds if −margin ≤ low and high ≤ margin, is contradicted if the interval lies outside, else cannot be told

    reproduced       every expectation holds
    partly           some hold, and no fewer than are contradicted
    not reproduced   none holds, or more are contradicted than hold

It is a rule for reading a small table, not a test of 5 %. With three seeds the interval reaches from the smallest to
the largest difference, so all three have to agree: where there is no effect they do so the right way in one case of
eight, and one of k independent expectations holds by chance with 1 − (7/8)^k, 0.61 for seven. So a finding also says
what the stricter interval of Student's t says (±4.3 standard errors with three seeds, for differences that are about
normal), and a verdict counts how many of those that hold hold there too; the words do not depend on it, for with
three seeds it misses most effects that are there. Both speak of seeds alone: the test text is one, and so is the data.

Source: Efron (1979), bootstrap methods, https://doi.org/10.1214/aos/1176344552.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from statistics import fmean
from typing import Literal

import numpy as np

from distill.evidence.claim import Claim, Expectation, Place
from distill.evidence.results import Result
from distill.reports.intervals import over_seeds

FEWEST = 3
"""Seeds below which nothing is said."""
ENUMERATED, DRAWS = 6, 10_000
Outcome = Literal["holds", "contradicted", "cannot be told", "not measured"]
Word = Literal["reproduced", "partly", "not reproduced", "not run"]


@dataclass(frozen=True)
class Finding:
    """What became of an expectation.

    Attributes:
        expectation: which.
        outcome: by the rule above.
        difference: mean over the seeds, paired.
        low, high: its bootstrap interval.
        half: half the width of Student's 95 % interval about the difference.
        seeds: how many stand behind it.
    """

    expectation: Expectation
    outcome: Outcome
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    half: float = math.nan
    seeds: int = 0

    @property
    def strictly(self) -> bool:
        """Whether it holds by Student's interval too."""
        low, high = self.difference - self.half, self.difference + self.half
        return self.outcome == "holds" and _outcome(self.expectation, low, high) == "holds"


@dataclass(frozen=True)
class Judgement:
    """The verdict on a claim and the findings it rests on."""

    word: Word
    findings: tuple[Finding, ...]

    @property
    def counted(self) -> str:
        """``partly (3 of 5, 2 of them by Student's t too; 1 contradicted)``."""
        if self.word == "not run":
            return self.word
        held, strictly, contradicted = (
            sum(one.outcome == "holds" for one in self.findings),
            sum(one.strictly for one in self.findings),
            sum(one.outcome == "contradicted" for one in self.findings),
        )
        told = f"{held} of {len(self.findings)}"
        if held:
            told += f", {strictly or 'none'} of them by Student's t too"
        return f"{self.word} ({told}; {contradicted} contradicted)" if contradicted else f"{self.word} ({told})"


def judged(claim: Claim, results: Sequence[Result]) -> Judgement:
    """The verdict on a claim from the runs of its own design (those that swept nothing beside arms and seeds)."""
    own = [one for one in results if not one.swept]
    findings = tuple(_found(expectation, own) for expectation in claim.expected)
    if all(one.outcome == "not measured" for one in findings):
        return Judgement("not run", findings)
    held, contradicted = (sum(one.outcome == word for one in findings) for word in ("holds", "contradicted"))
    partly = held > 0 and held >= contradicted
    return Judgement("reproduced" if held == len(findings) else "partly" if partly else "not reproduced", findings)


def bootstrapped(differences: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile interval of a mean; exact for few numbers, drawn with a fixed seed for more."""
    count = len(differences)
    if count <= ENUMERATED:
        means, ways = _enumerated(differences)
    else:
        drawn = np.random.default_rng(20_240_901).choice(np.asarray(differences), (DRAWS, count))
        means, ways = np.sort(drawn.mean(axis=1)), np.ones(DRAWS)
    below = np.cumsum(ways) / np.sum(ways)
    low, high = (float(means[min(int(np.searchsorted(below, q)), len(means) - 1)]) for q in (0.025, 0.975))
    return low, high


def _enumerated(differences: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Every multiset of draws, its mean, and in how many orders it comes; sorted by the mean."""
    count = len(differences)
    found = []
    for places in combinations_with_replacement(range(count), count):
        ways = math.factorial(count)
        for place in set(places):
            ways //= math.factorial(places.count(place))
        found.append((fmean(differences[place] for place in places), ways))
    found.sort()
    return np.array([mean for mean, _ in found]), np.array([ways for _, ways in found], dtype=float)


def _found(expectation: Expectation, results: Iterable[Result]) -> Finding:
    told = list(results)
    first, second = (_numbers(expectation, place, told) for place in (expectation.first, expectation.second))
    seeds = sorted(first.keys() & second.keys())
    differences = [first[seed] - second[seed] for seed in seeds]
    if len(seeds) < FEWEST:
        return Finding(expectation, "not measured", seeds=len(seeds))
    if not all(math.isfinite(one) for one in differences):
        return Finding(expectation, "cannot be told", seeds=len(seeds))
    low, high = bootstrapped(differences)
    half = over_seeds(differences).half
    assert half is not None, "several seeds have an interval"
    return Finding(expectation, _outcome(expectation, low, high), fmean(differences), low, high, half, len(seeds))


def _outcome(expectation: Expectation, low: float, high: float) -> Outcome:
    margin = expectation.margin
    if expectation.relation == "near":
        if -margin <= low and high <= margin:
            return "holds"
        return "contradicted" if low > margin or high < -margin else "cannot be told"
    return "holds" if high < -margin else "contradicted" if low > -margin else "cannot be told"


def _numbers(expectation: Expectation, place: Place, results: Sequence[Result]) -> dict[int, float]:
    """By seed. A number measured on several splits is taken from the named one, else from the test text."""
    kept: dict[int, float] = {}
    for one in results:
        if (one.arm, one.subject, one.metric) != (place.arm, place.subject, expectation.metric):
            continue
        if one.split == expectation.split or (not expectation.split and one.split in ("test", "none")):
            kept[one.seed] = one.value
    return kept
