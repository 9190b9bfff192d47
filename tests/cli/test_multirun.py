"""``train -m`` from the command line to the sweep folder: what is refused, what is planned, what is executed."""

import json
import os
import sys
from pathlib import Path

import pytest

from distill.cli import plan as planning
from distill.cli import sweep as verb
from distill.cli.arguments import Arguments, parse
from distill.cli.multirun import multirun
from distill.cli.plan import planned
from distill.cli.sources import Sources
from distill.errors import BadInput, BadInputs
from distill.sweeps.folder import SweepFolder

QUICK = ["sweeper.backoff=0.01", "launcher.jobs=2"]
SCRIPT = """
import json, sys
from pathlib import Path
told = dict(word.split("=", 1) for word in sys.argv[1:])
run = Path(told["paths.run"].strip("'"))
run.mkdir(parents=True, exist_ok=True)
with (run / "executions").open("a") as file: file.write("x")
if told["seed"] == "1" and not (run.parents[1] / "healed").exists(): raise ValueError("a fault")
row = dict(subject="student", metric="bits_per_byte", unit="bits/byte", split="test", step=1)
row |= dict(seed=int(told["seed"]), value=2.0 + int(told["seed"]))
(run / "metrics.jsonl").write_text(json.dumps(row) + chr(10))
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that execute a tiny script instead of a training."""

    def command(_composed, _arguments, extra):
        return [sys.executable, "-I", "-c", SCRIPT, *_composed.overrides, *extra]

    monkeypatch.setattr(planning, "run_command", command)


def sweeping(*overrides: str) -> Arguments:
    return parse(["train", "-m", *overrides])


def refusal(*overrides: str) -> str:
    with pytest.raises(BadInput) as caught:
        multirun(sweeping(*overrides))
    assert caught.value.code == 2
    assert list(Path().iterdir()) == []
    return str(caught.value)


def test_the_promised_command_is_twelve_runs():
    keys = ["objective.temperature=1,2,4", "objective.losses.kd.weight=0.5,0.9", "teacher=nursery_small,nursery"]
    plan = planned(sweeping(*keys))
    assert len(plan.jobs) == len({job.name for job in plan.jobs}) == 12
    assert plan.swept["teacher"] == ["nursery_small", "nursery"]
    job = plan.jobs[0]
    assert job.command[1:5] == ["-m", "distill", "train", "objective.temperature=1"]
    assert job.command[-1] == f"paths.run='{plan.folder.run(job.name).absolute()}'"
    assert job.environment["WANDB_RUN_GROUP"] == plan.folder.name
    assert "objective.temperature=1" in json.loads(job.environment["DISTILL_SWEEP_TAGS"])
    assert job.goal is not None
    assert list(Path().iterdir()) == []


def test_a_planned_run_composes_to_the_identity_in_its_name():
    plan = planned(sweeping("seed=3,4"))
    for job in plan.jobs:
        again = parse(job.command[job.command.index("distill") + 1 :])
        composed = planning.compose(again)
        assert job.name.endswith(planning.identity(composed))
        assert composed.config["paths"]["run"] == str(plan.folder.run(job.name).absolute())


def test_order_and_spelling_lead_to_one_folder():
    one = planned(sweeping("seed=0", "optim.learning_rate=1e-3,2e-3"))
    other = planned(sweeping("optim.learning_rate=0.0020,0.001", "seed=0"))
    assert one.folder == other.folder
    assert {job.name for job in one.jobs} == {job.name for job in other.jobs}


def test_combinations_that_are_one_run_are_run_once():
    plan = planned(sweeping("objective.temperature=1,1.0", "seed=3"))
    assert (len(plan.jobs), plan.repeated) == (1, 1)


def test_all_faults_of_all_runs_are_told_and_nothing_is_made():
    said = refusal("objective.temperature=1,0,-2", "seed=0,x", "teecher=nursery")
    for word in ("0", "-2", "'x'", "teecher"):
        assert word in said


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        (["seed=0,1", "paths.run=here"], "its own folder"),
        (["launcher=process,slurm"], "cannot be swept"),
        (["name=a,b"], "cannot be swept"),
        (["seed=0,1", "trainer.devices=auto"], "must know how many"),
        (["seed=0,1", "trainer.devices=-1"], "must know how many"),
        (["seed=0,1", "trainer.devices=2", "trainer.strategy=ddp_spawn"], "torchrun starts"),
        (["seed=0,1", "trainer.num_nodes=2"], "one machine"),
        (["objective.temperature=interval(1,2)"], "for a search"),
        (["seed=0,1", "seed=2"], "given twice"),
    ],
)
def test_what_a_sweep_refuses(overrides, word):
    assert word in refusal(*overrides)


def test_a_secret_on_the_command_line_is_refused(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef0123")
    assert "0123456789abcdef0123" not in refusal("seed=0,1", "name=0123456789abcdef0123")


def test_a_run_on_several_devices_is_started_by_torchrun():
    plan = planned(sweeping("seed=0,1", "trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu"))
    words = plan.jobs[0].command[1:]
    assert words[:6] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "distill"]


def test_flags_are_kept():
    command = planned(parse(["train", "-m", "--debug", "--plugin=rich", "seed=0,1"])).jobs[0].command
    assert {"--debug", "--plugin=rich"} <= set(command)
    assert "-m" not in command[command.index("distill") :]


def test_a_dry_run_makes_nothing(capsys):
    assert multirun(parse(["train", "-m", "--dry-run", "seed=0,1"])) == 0
    assert "2 runs over seed (2)" in capsys.readouterr().out
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("scripted")
def test_from_failure_over_status_to_retry(capsys):
    seen: list[Path] = []
    assert multirun(sweeping("seed=0,1,2", *QUICK), lambda folder, *_: seen.append(folder)) == 1
    folder = SweepFolder(seen[0])
    out = capsys.readouterr().out
    assert "2 done, 1 failed, 0 left" in out
    assert "ValueError: a fault (log: " in out
    place = str(folder.path)

    assert verb.run(parse(["sweep", "status", place])) == 1
    told = capsys.readouterr().out
    assert "best bits_per_byte: 2 seed-0-" in told
    assert "2 done, 1 failed, 0 running, 0 queued of 3" in told

    assert multirun(sweeping("seed=0,1,2", *QUICK)) == 1
    (folder.path / "healed").touch()
    assert verb.run(parse(["sweep", "retry", place, "launcher.jobs=1"])) == 0
    assert verb.run(parse(["sweep", "status", place])) == 0
    counts = sorted(len((folder.run(job.name) / "executions").read_text()) for job in folder.jobs())
    assert counts == [1, 1, 3]
    assert multirun(sweeping("seed=2,1,0", *QUICK)) == 0
    assert sorted(p.name for p in Path().iterdir()) == ["sweeps"]


@pytest.mark.usefixtures("scripted")
def test_stop_without_anybody_at_work_ends_at_once(capsys):
    multirun(sweeping("seed=0", *QUICK))
    folder = next(Path("sweeps").iterdir())
    assert verb.run(parse(["sweep", "stop", str(folder)])) == 0
    assert "nobody is at work" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["sweep"], ["sweep", "status"], ["sweep", "status", "nowhere"], ["sweep", "dance", "."], ["sweep", "stop", "."]],
)
def test_the_verb_refuses_what_is_no_sweep(words, place):
    with pytest.raises(BadInput):
        verb.run(parse(words))
    assert os.listdir(place) == []


@pytest.mark.usefixtures("scripted")
def test_retry_takes_only_overrides_of_launcher_and_sweeper():
    multirun(sweeping("seed=0", *QUICK))
    folder = next(Path("sweeps").iterdir())
    with pytest.raises(BadInput, match="no such override"):
        verb.run(parse(["sweep", "retry", str(folder), "seed=1"]))


def test_faults_are_one_type():
    with pytest.raises(BadInputs):
        planned(sweeping("seed=interval(0,1)"))


def test_a_pattern_stands_for_what_fits_and_tells_what_does_not() -> None:
    plan = planned(sweeping("loss@objective.losses.kd=glob(*)", "seed=0,1"))
    chosen = {job.swept["loss@objective.losses.kd"] for job in plan.jobs}
    assert {"forward_kl", "reverse_kl", "jensen_shannon", "attention_maps", "value_relation"} <= chosen
    assert {name.partition("kd=")[2] for name in plan.unfit}.isdisjoint(chosen)
    assert len(plan.unfit) + len(chosen) == len(Sources().options("loss"))
    assert "signal@teacher.signal=sampled" in plan.unfit["loss@objective.losses.kd=sampled_cross_entropy"]
    assert len(plan.jobs) == 2 * len(chosen)
    assert plan.repeated == 0


def test_where_nothing_is_measured_no_number_of_the_test_is_asked_for() -> None:
    assert planned(sweeping("seed=0,1")).jobs[0].goal is not None
    assert planned(sweeping("seed=0,1", "measure=none")).jobs[0].goal is None
    told = planned(sweeping("seed=0,1", "measure=none", "sweeper.metric=nats_per_token", "sweeper.split=validation"))
    assert told.jobs[0].goal is not None


def test_what_is_named_must_fit() -> None:
    assert "needs 'sampled' of the teacher" in refusal("loss@objective.losses.kd=forward_kl,sampled_cross_entropy")
