"""Nobody on the front is beaten; everybody off it is."""

from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from distill.reports.cells import design
from distill.reports.gather import gather
from distill.reports.measures import DECODE, PARAMETERS, Measure
from distill.reports.pareto import Candidate, candidates, front

models = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=30)


@given(models, st.sampled_from(["lower", "higher"]))
def test_front_is_what_nobody_beats(told: list[tuple[int, int]], better: str) -> None:
    cost = Measure("cost", "cost", better=better)  # pyright: ignore[reportArgumentType]
    found = [Candidate(str(i), "student", float(q), float(c)) for i, (q, c) in enumerate(told)]
    sign = 1 if better == "lower" else -1

    def beats(a: Candidate, b: Candidate) -> bool:
        costs = sign * a.cost <= sign * b.cost
        return costs and a.quality <= b.quality and (a.quality, a.cost) != (b.quality, b.cost)

    unbeaten = {(c.quality, c.cost) for c in found if not any(beats(other, c) for other in found)}
    assert {(c.quality, c.cost) for c in front(found, cost)} == unbeaten


def test_a_machines_noise_makes_no_front() -> None:
    found = [Candidate("a", "student", 2.0, 1000.0), Candidate("b", "student", 1.9, 990.0)]
    assert [c.name for c in front(found, DECODE)] == ["b"]


def test_a_shared_teacher_is_one_model(tmp_path: Path, make_sweep: Callable[..., Path]) -> None:
    sweep = make_sweep(tmp_path / "s", seeds=(0,), weights=(0.9,), teachers=("nursery",), steps=4)
    found = candidates(design(gather([sweep])), PARAMETERS)
    assert sorted(c.subject for c in found) == [
        "control",
        "control_compute",
        "student",
        "student",
        "student",
        "teacher",
    ]
