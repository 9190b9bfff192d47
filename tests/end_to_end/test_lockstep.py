"""Runs of a sweep trained together in one process are the runs of separate processes, in everything that they leave."""

import json

import pytest

from distill.__main__ import main
from distill.cli.arguments import parse
from distill.cli.multirun import told
from distill.cli.plan import planned
from distill.rows import METRICS, WALL_CLOCK_UNITS, read
from distill.sweeps.folder import SweepFolder

GRID = ["objective.temperature=1,3", "objective.losses.kd.weight=0.5,1.0"]
NO_MORE = ["control=none", "measure=none", "logger=none"]
SUBJECTS = ("student", "control")


def facts(folder):
    """Rows but for what a clock says, and what the process's size is."""
    measured = [row for row in read(folder / METRICS) if row.unit not in WALL_CLOCK_UNITS and row.unit != "MiB"]
    return sorted((r.subject, r.metric, r.split, r.step, r.value, r.seed) for r in measured)


def swept(tiny, *words):
    """The overrides with some of them swept."""
    keys = {word.partition("=")[0] for word in words}
    return [word for word in tiny if word.partition("=")[0] not in keys] + list(words)


def laid(words):
    plan = planned(parse(["train", "-m", *words, "launcher=lockstep"]))
    plan.folder.write_plan(["distill", "train", "-m"], plan.swept, plan.jobs)
    return plan


def test_they_are_the_separate_runs(tiny, laboratory, capsys):
    """Bit for bit: weights and rows of student and control; one pass of the teacher a micro-batch."""
    plan = laid(
        [*tiny, "control=steps", "objective=forward_kl,jensen_shannon", f"paths.sweeps={laboratory / 'sweeps'}"]
    )
    names = [job.name for job in plan.jobs]
    assert main(["lockstep", str(plan.folder.path), *names]) == 0
    assert "2 runs, 4 passes of the teacher" in capsys.readouterr().err
    for job in plan.jobs:
        alone, together = laboratory / f"alone-{job.name[-8:]}", plan.folder.run(job.name)
        assert main(["train", *job.overrides, f"paths.run={alone}"]) == 0
        for subject in SUBJECTS:
            model = f"{subject}/model.safetensors"
            assert (together / model).read_bytes() == (alone / model).read_bytes()
        assert facts(together) == facts(alone)
        assert (together / "report.html").is_file()
        assert json.loads((together / "status.json").read_text())["state"] == "done"
        assert "total = " in plan.folder.log(job.name).read_text()
    assert main(["lockstep", str(plan.folder.path), *names]) == 0  # what is done is not done again


def test_from_a_store_they_are_the_same(tiny, laboratory, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path))  # where no other test has filled the store
    keys = [word.replace("teacher.recipe", "teacher.source.recipe") for word in tiny[:-7]]
    plan = laid([*keys, "teacher=stored", *GRID, *NO_MORE, f"paths.sweeps={laboratory / 'stored'}"])
    assert main(["lockstep", str(plan.folder.path), *(job.name for job in plan.jobs)]) == 0
    assert "4 runs, 4 passes of the teacher" in capsys.readouterr().err
    job = plan.jobs[-1]
    assert main(["train", *job.overrides, f"paths.run={laboratory / 'alone-stored'}"]) == 0
    model = "student/model.safetensors"
    assert (plan.folder.run(job.name) / model).read_bytes() == (laboratory / "alone-stored" / model).read_bytes()


def test_one_whose_numbers_end_does_not_take_the_others(tiny, laboratory, capsys):
    plan = laid([*tiny[:-7], *NO_MORE, "optim.learning_rate=1e-3,1e30", f"paths.sweeps={laboratory}"])
    names = [job.name for job in plan.jobs]
    assert main(["lockstep", str(plan.folder.path), *names]) == 1
    states = [json.loads((plan.folder.run(name) / "status.json").read_text()) for name in names]
    assert [state["state"] for state in states] == ["done", "failed"]
    assert states[1]["exit"] == 3
    assert (plan.folder.run(names[0]) / "student").is_dir()
    assert "gradient" in plan.folder.log(names[1]).read_text() or "finite" in plan.folder.log(names[1]).read_text()


def test_who_shares_with_whom_is_told(tiny, monkeypatch):
    def lines(*words):
        said = told(planned(parse(["train", "-m", *swept(tiny, *words), "launcher=lockstep"]))).splitlines()
        return [line.removeprefix("lockstep: ") for line in said if line.startswith("lockstep: ")]

    free = ["objective=forward_kl,reverse_kl", "student.width=8,16", "optim.learning_rate=1e-3,2e-3"]
    assert lines(*free) == ["8 runs: one teacher for all"]
    assert lines(*free, "launcher.together=3") == ["8 runs: one teacher for all, 3 in a process at most"]
    assert lines("objective=forward_kl,reverse_kl", "data.share=0.5,1.0") == [
        "2 runs: one teacher for all",
        "2 runs: one teacher for all; apart from the first: data.share differ",
    ]
    assert lines("seed=0,1") == ["1 run: alone", "1 run: alone; apart from the first: data.seed differ"]
    assert lines("seed=0,1", "data.seed=0") == ["2 runs: one teacher for all"]
    assert lines("trainer.precision=32-true,bf16-mixed")[1].endswith("trainer.precision differ")
    assert lines("data.batch_size=4,2")[1].endswith("data.batch_size, cut differ")
    tiny = [word for word in tiny if not word.startswith("teacher.")]
    (line,) = lines("teacher=none", "control=none", "objective=cross_entropy", "optim.beta1=0.8,0.9")
    assert line == "2 runs alone, teacher: there is none whose passes could be shared"


@pytest.mark.parametrize(
    ("words", "said"), [([], "expected a sweep folder"), (["a", "b"], "no sweep folder"), (["a", "x=1"], "expected a")]
)
def test_what_is_no_group_is_refused(tiny, words, said, capsys):
    assert main(["lockstep", *words]) == 2
    assert said in capsys.readouterr().err


def test_strangers_are_refused(tiny, laboratory, capsys):
    plan = laid([*swept(tiny, "data.share=0.5,1.0"), f"paths.sweeps={laboratory}"])
    assert main(["lockstep", str(plan.folder.path), *(job.name for job in plan.jobs)]) == 2
    assert "data.share differ" in capsys.readouterr().err


@pytest.mark.slow
def test_from_the_command_line_a_sweep_in_lockstep(tiny, laboratory, capsys):
    words = [*tiny, *GRID, "control=steps", "launcher=lockstep", f"paths.sweeps={laboratory / 'typed'}"]
    assert main(["train", "-m", *words]) == 0
    assert "lockstep: 4 runs: one teacher for all" in capsys.readouterr().out
    (place,) = (laboratory / "typed").iterdir()
    folder = SweepFolder(place)
    assert "4 runs, 4 passes of the teacher" in folder.log("together").read_text()
    assert len(list((place / "controls").iterdir())) == 1  # equal in all four, trained once
    assert {folder.status(name).state for name in folder.plan()["runs"]} == {"done"}
    assert all(folder.status(name).value is not None for name in folder.plan()["runs"])
    assert main(["train", "-m", *words]) == 0
    assert "4 of 4 are done already" in capsys.readouterr().err
