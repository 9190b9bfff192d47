"""Sweeps of real runs: what W&B hears of one, and a search. Slow: each run is a process with its own torch."""

from pathlib import Path

import pytest

from distill.__main__ import main
from distill.rows import METRICS, read
from distill.sweeps.folder import SweepFolder
from tests.training.test_tracking import told

pytestmark = pytest.mark.slow


def swept(tiny: list[str], where: Path, *words: str) -> SweepFolder:
    """The folder of a sweep that went well."""
    given = ("logger=", *(word.partition("=")[0] + "=" for word in words))
    kept = [word for word in tiny if not word.startswith(given)]
    assert main(["train", "-m", *kept, "control=none", "launcher.jobs=1", f"paths.sweeps={where}", *words]) == 0
    (found,) = where.iterdir()
    return SweepFolder(found)


def test_the_runs_of_a_sweep_are_one_group_with_their_values_as_tags(tiny, tmp_path):
    folder = swept(tiny, tmp_path / "sweeps", "objective.temperature=1,2", "logger=wandb", "name=grouped")
    groups, tags, keys, numbers = set(), set(), set(), []
    for name in folder.plan()["runs"]:
        records = told(folder.run(name))
        runs = [r.run for r in records if r.WhichOneof("record_type") == "run" and r.run.run_group]
        said = [item for r in records if r.WhichOneof("record_type") == "history" for item in r.history.item]
        heard = {item.key or ".".join(item.nested_key): item.value_json for item in said}
        rows = [row for row in read(folder.run(name) / METRICS) if (row.subject, row.split) == ("student", "test")]
        ended = {row.metric: row.value for row in rows}
        assert float(heard["test/bits_per_byte"]) == ended["bits_per_byte"]
        assert any(key.startswith("report/page") for key in heard)
        assert len({run.run_id for run in runs}) == 1
        numbers.append(heard["test/bits_per_byte"])
        groups |= {run.run_group for run in runs}
        tags |= {tag for run in runs for tag in run.tags}
        keys |= {one.key for run in runs for one in run.config.update}
    assert len(set(numbers)) == 2  # each run has its own
    assert groups == {folder.name}
    assert tags == {"objective.temperature=1", "objective.temperature=2"}
    assert {"objective.temperature", "optim.learning_rate", "seed"} <= keys


def test_a_search_of_real_runs_ends_with_a_best_and_goes_on(tiny, tmp_path, capsys):
    pytest.importorskip("optuna", reason="needs the extra sweep")
    space = ("optim.learning_rate=tag(log,interval(1e-3,1e-2))", "sweeper=optuna", "logger=none", "name=searched")
    folder = swept(tiny, tmp_path / "sweeps", *space, "sweeper.trials=2")
    assert "best of 2 trials:" in capsys.readouterr().out
    assert (folder.path / "report.html").is_file()
    swept(tiny, tmp_path / "sweeps", *space, "sweeper.trials=3")
    assert len(folder.plan()["runs"]) == 3
