"""The memory of a search: what is told to Optuna, what is stopped, what is never the best."""

import math
from pathlib import Path

import pytest

from distill.rows import METRICS, Row, append
from distill.sweeps.search import Search
from distill.sweeps.space import Axis

pytest.importorskip("optuna", reason="needs the extra sweep")

from distill.sweeps.study import Study

AXES = {"x": Axis(low=0.0, high=1.0)}


def run(folder: Path, value: float, curve: tuple[float, ...] = (), **more: float) -> Path:
    """A run folder: its objective, its validation so far, and numbers that stand on no text."""
    folder.mkdir(parents=True)
    rows = [
        Row("student", "nats_per_token", nats, "nats/token", "validation", 10 * i, 0) for i, nats in enumerate(curve)
    ]
    rows += [Row("student", "bits_per_byte", value, "bits/byte", "test", 100, 0)]
    rows += [Row("student", name, number, "1", "none", 100, 0) for name, number in more.items()]
    append(folder / METRICS, rows)
    return folder


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_never_the_best(tmp_path, value):
    study = Study(tmp_path / "sweep", Search(trials=3, sampler="random"), AXES)
    for number, told in enumerate((value, 2.0)):
        trial, _ = study.ask()
        trial.set_user_attr("run", f"run-{number}")
        study.tell(trial, run(tmp_path / f"run-{number}", told))
    assert [name for name, _, _ in study.best()] == ["run-1"]
    missing, _ = study.ask()
    study.tell(missing, None)
    assert [name for name, _, _ in study.best()] == ["run-1"]
    assert study.left == 0


def test_one_objective_missing_is_a_failure_too(tmp_path):
    study = Study(tmp_path / "sweep", Search(also={"parameters": "lower"}), AXES)
    trial, _ = study.ask()
    study.tell(trial, run(tmp_path / "a", 1.0))
    assert study.best() == []
    trial, _ = study.ask()
    study.tell(trial, run(tmp_path / "b", 2.0, parameters=10))
    assert [values for _, _, values in study.best()] == [[2.0, 10.0]]


def test_a_study_opened_again_knows_what_was_proposed_and_proposes_something_else(tmp_path):
    search = Search(sampler="random", seed=5)
    first = Study(tmp_path / "sweep", search, AXES)
    one, told = first.ask()
    one.set_user_attr("run", "run-0")
    first.ask()  # its driver was killed before the run was laid down
    again = Study(tmp_path / "sweep", search, AXES)
    (found,) = again.unfinished()
    assert found.params == one.params
    assert again.ask()[1] != told
    again.tell(found, run(tmp_path / "run-0", 1.5))
    assert again.best()[0][0] == "run-0"
    assert len(Study(tmp_path / "sweep", search, AXES).unfinished()) == 0


def test_a_run_behind_the_others_is_stopped_and_one_ahead_is_not(tmp_path):
    study = Study(tmp_path / "sweep", Search(pruner="median", sampler="random"), AXES)
    for number in range(3):
        trial, _ = study.ask()
        place = run(tmp_path / f"good-{number}", 2.0, (5.0, 3.0, 2.0))
        assert study.hopeless(trial, place) is None
        study.tell(trial, place)
    bad, _ = study.ask()
    reason = study.hopeless(bad, run(tmp_path / "bad", 9.0, (5.0, 4.9)))
    assert reason == "stopped at step 10 by the search (nats_per_token 4.9: worse than the median of the others there)"
    study.tell(bad, None, stopped=True)
    good, _ = study.ask()
    assert study.hopeless(good, run(tmp_path / "better", 1.0, (5.0, 2.5))) is None


def test_nobody_is_stopped_before_the_warm_up_nor_by_a_curve_that_is_not_there(tmp_path):
    study = Study(tmp_path / "sweep", Search(pruner="median", sampler="random", warmup=50), AXES)
    for number in range(3):
        trial, _ = study.ask()
        place = run(tmp_path / f"good-{number}", 2.0, (5.0, 3.0))
        study.hopeless(trial, place)
        study.tell(trial, place)
    bad, _ = study.ask()
    assert study.hopeless(bad, run(tmp_path / "bad", 9.0, (5.0, 4.9))) is None
    assert study.hopeless(bad, tmp_path / "nowhere") is None


def test_what_was_told_once_stays_told(tmp_path):
    study = Study(tmp_path / "sweep", Search(sampler="random"), AXES)
    trial, _ = study.ask()
    trial.set_user_attr("run", "run-0")
    study.tell(trial, run(tmp_path / "run-0", 1.5))
    study.tell(trial, None)  # by another driver, which found it lost
    assert [values for _, _, values in study.best()] == [[1.5]]
