"""How well an order that is known before a training agrees with what the trainings came to.

    python -m experiments.teacher_choice.agreement PREFLIGHT_FOLDER SWEEP_FOLDER

Spearman's rank correlation over the teachers, a seed of the sweep at a time, of three predictors: the largest teacher
first, the likeliest on held-out text first (preflight without a pilot), and the best after the pilot first. Four
teachers have 24 orders: one in 24 is perfect by chance.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from distill.rows import METRICS, read

PREDICTORS = {"largest first": ("parameters", -1.0), "likeliest first": ("bits_per_byte", 1.0), "pilot": ("pilot", 1.0)}
"""Predictor -> preflight's number, and the sign that makes a low one a promise of low loss."""


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


def outcomes(sweep: Path) -> dict[int, dict[str, float]]:
    """Seed -> teacher -> the student's nats per token on test text."""
    found: dict[int, dict[str, float]] = {}
    for run in sorted(sweep.rglob(METRICS)):
        config = yaml.safe_load((run.parent / "config.yaml").read_text(encoding="utf-8"))
        sizes = config["teacher"]["recipe"]["student"]
        name = f"{sizes['layers']}x{sizes['width']}"
        for row in read(run):
            if (row.subject, row.metric, row.split) == ("student", "nats_per_token", "test"):
                found.setdefault(config["seed"], {})[name] = row.value
    return found


SIZES = {"nursery_tiny": "1x48", "nursery_small": "2x80", "nursery": "3x128", "nursery_large": "4x192"}


def main(preflight: Path, sweep: Path) -> None:
    """Print the table."""
    told = {(row.subject, row.metric.removeprefix("preflight/")): row.value for row in read(preflight / METRICS)}
    for seed, reached in sorted(outcomes(sweep).items()):
        names = [name for name, size in SIZES.items() if size in reached]
        results = [reached[SIZES[name]] for name in names]
        print(f"seed {seed}: " + ", ".join(f"{name} {value:.3f}" for name, value in zip(names, results, strict=True)))
        for predictor, (key, sign) in PREDICTORS.items():
            guessed = [sign * told[name, key] for name in names]
            first = names[guessed.index(min(guessed))]
            lost, found = reached[SIZES[first]] - min(results), spearman(guessed, results)
            print(f"  {predictor}: correlation {found:+.2f}; its first, {first}, costs {lost:.3f} nats a token")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
