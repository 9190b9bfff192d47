"""How well an order that is known before a training agrees with what the trainings came to.

    python -m experiments.teacher_choice.agreement

Spearman's rank correlation over the teachers of ``results.jsonl``, a seed at a time, of three predictors: the largest
teacher first, the likeliest on held-out text first (preflight without a pilot), and the best after the pilot first.
Four teachers have 24 orders: one in 24 is perfect by chance. A seed is predicted by the
preflight of its own seed, whose rows are kept in ``preflight.jsonl``.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from distill.evidence.results import RESULTS
from distill.rows import read

PREDICTORS = {"largest first": ("parameters", -1.0), "likeliest first": ("bits_per_byte", 1.0), "pilot": ("pilot", 1.0)}
"""Predictor -> preflight's number, and the sign that makes a low one a promise of low loss."""
ARMS = {"tiny": "nursery_tiny", "small": "nursery_small", "middle": "nursery", "large": "nursery_large"}
"""Arm -> the teacher as preflight names it."""


def ranks(values: Sequence[float]) -> list[float]:
    """From 1, equal ones share their mean."""
    below = [sum(other < one for other in values) for one in values]
    equal = [sum(other == one for other in values) for one in values]
    return [1 + b + (e - 1) / 2 for b, e in zip(below, equal, strict=True)]


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's correlation of the ranks.

    Source: Spearman (1904). The proof and measurement of association between two things. Am. J. Psychol. 15.
    """
    one, other = ranks(first), ranks(second)
    mean = (len(one) + 1) / 2
    products = sum((a - mean) * (b - mean) for a, b in zip(one, other, strict=True))
    squares = [sum((a - mean) ** 2 for a in side) for side in (one, other)]
    return products / (squares[0] * squares[1]) ** 0.5


def outcomes(results: Path) -> dict[int, dict[str, float]]:
    """Seed -> teacher -> the student's nats per token on test text."""
    found: dict[int, dict[str, float]] = {}
    for line in results.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if (row["subject"], row["metric"], row["split"]) == ("student", "nats_per_token", "test"):
            found.setdefault(row["seed"], {})[ARMS[row["arm"]]] = row["value"]
    return found


def foretold(rows: Path) -> dict[int, dict[tuple[str, str], float]]:
    """Seed -> (teacher, number) -> what its preflight said."""
    found: dict[int, dict[tuple[str, str], float]] = {}
    for row in read(rows):
        found.setdefault(row.seed, {})[row.subject, row.metric.removeprefix("preflight/")] = row.value
    return found


def agreement(
    told: Mapping[tuple[str, str], float], reached: Mapping[str, float]
) -> dict[str, tuple[float, float, str]]:
    """Predictor -> rank correlation, what its first choice costs in nats a token, and that choice."""
    names, found = list(reached), {}
    for predictor, (key, sign) in PREDICTORS.items():
        guessed = [sign * told[name, key] for name in names]
        first = names[guessed.index(min(guessed))]
        found[predictor] = (spearman(guessed, list(reached.values())), reached[first] - min(reached.values()), first)
    return found


def main() -> None:
    """Print a line a seed and predictor, then the means."""
    predicted = foretold(Path(__file__).with_name("preflight.jsonl"))
    together: dict[str, list[tuple[float, float]]] = {predictor: [] for predictor in PREDICTORS}
    for seed, reached in sorted(outcomes(Path(__file__).with_name(RESULTS)).items()):
        print(f"seed {seed}: " + ", ".join(f"{name} {value:.3f}" for name, value in reached.items()))
        for predictor, (correlation, cost, first) in agreement(predicted[seed], reached).items():
            print(f"  {predictor}: correlation {correlation:+.2f}; its first, {first}, costs {cost:.3f} nats a token")
            together[predictor].append((correlation, cost))
    for predictor, pairs in together.items():
        correlation, cost = (fmean(values) for values in zip(*pairs, strict=True))
        print(f"{predictor}: mean correlation {correlation:+.2f}, mean cost {cost:.3f} over {len(pairs)} seeds")


if __name__ == "__main__":
    main()
