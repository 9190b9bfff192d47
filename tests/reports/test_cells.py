"""Runs that share everything but the seed are one setting; keys are named as short as they can be told apart."""

from collections.abc import Callable
from pathlib import Path

from distill.reports.cells import design, plain, short_names
from distill.reports.gather import gather


def test_a_sweep_is_its_grid(sweep_folder: Path) -> None:
    plan = design(gather([sweep_folder]))
    assert plan.keys == ("objective.temperature", "objective.losses.kd.weight", "teacher")
    assert list(plan.names.values()) == ["temperature", "weight", "teacher"]
    assert plan.values["objective.temperature"] == ("1", "2", "4")
    assert plan.values["teacher"] == ("nursery_small", "nursery")
    assert [len(cell.runs) for cell in plan.cells].count(3) == 11, "one run of 36 failed"
    assert plan.seeds == 3
    assert plan.numeric("objective.losses.kd.weight")
    assert not plan.numeric("teacher")


def test_seeds_alone_are_one_setting(tmp_path: Path, make_sweep: Callable[..., Path]) -> None:
    grid = {"temperatures": (1.0,), "weights": (0.5,), "teachers": ("nursery",)}
    plan = design(gather([make_sweep(tmp_path / "s", steps=4, **grid)]))
    assert plan.keys == ()
    assert [len(cell.runs) for cell in plan.cells] == [3]


def test_folders_side_by_side_are_told_apart_by_what_differs(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    """The seed, the run's place and keys that move with another one are no keys of their own."""
    first = make_run(tmp_path / "a", seed=0, temperature=1.0, steps=4)
    second = make_run(tmp_path / "b", seed=1, temperature=4.0, steps=4)
    plan = design(gather([first, second]))
    assert plan.keys == ("objective.temperature",)
    assert [cell.setting["objective.temperature"] for cell in plan.cells] == ["1", "4"]


def test_a_choice_without_a_key_in_the_config_is_known_from_the_command(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    folders = [make_run(tmp_path / name, teacher=name, steps=4) for name in ("nursery", "nursery_small")]
    assert design(gather(folders)).keys == ("teacher",)


def test_short_names_stay_apart() -> None:
    names = short_names(["objective.losses.kd.weight", "objective.losses.ce.weight", "weight", "loss@a.kd", "seed"])
    assert names["objective.losses.kd.weight"] == "kd.weight"
    assert names["objective.losses.ce.weight"] == "ce.weight"
    assert len(set(names.values())) == 5


def test_one_number_has_one_spelling() -> None:
    assert plain("1e-3") == plain(0.001) == "0.001"
    assert plain(1.0) == plain("1") == "1"
    assert plain(True) == "True"
    assert plain(None) == "null"
    assert plain("nan") == "nan"
