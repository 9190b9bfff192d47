"""A search from the command line to its best run: proposed, executed, told, gone on with; what is never the best."""

import sys
from pathlib import Path

import pytest

from distill.cli import plan as planning
from distill.cli import sweep
from distill.cli.arguments import parse
from distill.cli.multirun import multirun
from distill.errors import BadInput
from distill.sweeps.folder import SweepFolder

pytest.importorskip("optuna", reason="needs the extra sweep")

SCRIPT = """
import json, sys
from pathlib import Path
told = dict(word.split("=", 1) for word in sys.argv[1:])
run = Path(told["paths.run"].strip("'"))
run.mkdir(parents=True, exist_ok=True)
with (run / "executions").open("a") as file: file.write("x")
width, seed = int(told["student.width"]), int(told.get("seed", 0))
row = dict(subject="student", unit="bits/byte", step=1, seed=seed)
quality = None if width == 64 else 2.0 + abs(width - 96) / 100
rows = [dict(row, metric="bits_per_byte", value=quality, split="test")]
rows += [dict(row, metric="parameters", value=width, split="none")]
(run / "metrics.jsonl").write_text("".join(json.dumps(one) + chr(10) for one in rows))
"""
SPACE = "student.width=range(32,129,32)"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs that execute a tiny script instead of a training, in a folder of their own."""

    def command(_composed, _arguments, extra):
        return [sys.executable, "-I", "-c", SCRIPT, *_composed.overrides, *extra]

    monkeypatch.setattr(planning, "run_command", command)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def searched(*words: str) -> int:
    quick = ["sweeper.backoff=0.01", "sweeper.brake=0", "launcher.jobs=4", "sweeper.sampler=random"]
    return multirun(parse(["train", "-m", "sweeper=optuna", *quick, *words]))


def folder() -> SweepFolder:
    (found,) = Path("sweeps").iterdir()
    return SweepFolder(found)


def executions() -> int:
    return sum(len(path.read_text()) for path in Path().rglob("executions"))


def test_the_best_is_found_and_a_number_that_is_none_is_never_it(capsys):
    assert searched("sweeper.trials=8", SPACE) == 1  # a width of 64 has no finite number, and failed
    said = capsys.readouterr().out
    assert "best of 8 trials:\n  bits_per_byte 2  student.width=96" in said
    assert "no finite bits_per_byte" in said
    states = {name: folder().status(name).state for name in folder().plan()["runs"]}
    widths = {name.split("-")[1]: state for name, state in states.items()}
    assert widths == {width: "failed" if width == "64" else "done" for width in widths}
    assert {"64", "96"} <= set(widths)
    done = executions()
    assert searched("sweeper.trials=8", SPACE) == 0  # nothing is left to propose
    assert executions() == done


def test_the_same_command_goes_on_with_more_trials():
    space = "student.width=96,128"
    assert searched("sweeper.trials=1", space) == 0
    assert searched("sweeper.trials=5", space) == 0
    assert executions() == 2  # a value proposed again is a run that is done
    assert (folder().path / "optuna.db").is_file()


def test_what_a_killed_driver_had_proposed_is_told(monkeypatch):
    from distill.cli import searching

    monkeypatch.setattr(searching._Rounds, "_round", lambda _self, _proposed: 9)
    assert searched("sweeper.trials=2", SPACE.replace("32,129", "96,129")) == 137
    monkeypatch.undo()


def test_two_objectives_are_a_front(capsys):
    assert searched("sweeper.trials=10", "student.width=32,96,128", "+sweeper.also={parameters: lower}") == 0
    said = capsys.readouterr().out
    assert "Pareto front of 10 trials:" in said
    assert "bits_per_byte 2, parameters 96  student.width=96" in said
    assert "bits_per_byte 2.64, parameters 32" in said
    assert "student.width=128" not in said  # worse and larger


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("seed=3",), "nothing to search over"),
        ((SPACE, "sweeper.pruner=median", "+sweeper.also={parameters: lower}"), "there are several"),
        (("data.share=interval(0.5,0.1)",), "its end lies above its beginning"),
        (("optim.learning_rate=tag(log,interval(0,1))",), "lies above 0"),
        ((SPACE, "sweeper.metric=null"), "sweeper.metric"),
        (("seed=1,2", "paths.root=a,b"), "belongs to the whole sweep"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(words, reason):
    with pytest.raises(BadInput, match=reason):
        searched(*words)


PRUNED = """
import json, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
told = dict(word.split("=", 1) for word in sys.argv[1:])
run = Path(told["paths.run"].strip("'"))
run.mkdir(parents=True, exist_ok=True)
(run / "executions").open("a").write("x")
third = len(list(run.parent.iterdir())) == 3
row = dict(subject="student", seed=0, step=20)
rows = [dict(row, metric="nats_per_token", unit="nats/token", split="validation", value=5.0 if third else 3.0)]
rows += [] if third else [dict(row, metric="bits_per_byte", unit="bits/byte", split="test", value=2.0)]
(run / "metrics.jsonl").write_text("".join(json.dumps(one) + chr(10) for one in rows))
time.sleep(60 if third else 0.6)
"""


def test_a_run_that_the_search_stops_is_pruned_wherever_it_is_told_of(monkeypatch, capsys):
    def command(_composed, _arguments, extra):
        return [sys.executable, "-I", "-c", PRUNED, *_composed.overrides, *extra]

    monkeypatch.setattr(planning, "run_command", command)
    words = ("sweeper.trials=3", "sweeper.pruner=median", "launcher.jobs=1", "optim.learning_rate=interval(1e-3,1e-2)")
    assert searched(*words) == 0
    why = "stopped at step 20 by the search (nats_per_token 5: worse than the median of the others there)"
    third = folder().plan()["runs"][2]
    assert f"{third}: pruned, {why}" in capsys.readouterr().out
    assert (folder().status(third).state, folder().status(third).cause) == ("pruned", why)

    assert sweep.run(parse(["sweep", "status", str(folder().path)])) == 0
    said = capsys.readouterr().out
    assert "2 done, 1 pruned, 0 failed, 0 running, 0 queued of 3" in said
    assert sweep.run(parse(["sweep", "retry", str(folder().path)])) == 0
    assert searched(*words) == 0
    assert executions() == 3  # nothing is left to do: it is through
