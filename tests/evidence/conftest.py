"""Results out of nothing: one number an arm and seed."""

import pytest

from distill.evidence.results import Result


@pytest.fixture
def results():
    """``results({"a": [1.0, 2.0]}, metric="m")``: seed by seed, of each place ``arm`` or ``arm/subject``."""

    def make(numbers, metric="m", unit="nats/token", swept=None):
        made = []
        for place, values in numbers.items():
            arm, _, subject = place.partition("/")
            for seed, value in enumerate(values):
                made.append(
                    Result(arm, seed, swept or {}, subject or "student", metric, value, unit, "test", 3, 10, None, None,
                           f"{arm}-{seed}", "abc", "distill train", 0.5, f"2026-11-24T10:{seed:02d}:30+00:00")
                )  # fmt: skip
        return made

    return make
