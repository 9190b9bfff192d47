"""An experiment's arms on the command line, and what a sweep of them leaves behind."""

import json
from pathlib import Path

import pytest

from distill.cli import arms, experiments
from distill.cli.arguments import experiment, parse
from distill.cli.compose import compose
from distill.cli.plan import planned
from distill.errors import BadInput
from tests.evidence.test_claim import TEXT

NAME = "smollm2_layer_drop"
"""An experiment that is there; its claim is replaced by another."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "experiments" / NAME
    place.mkdir(parents=True)
    (place / "claim.toml").write_text(TEXT + 'order = ["many", "few"]', encoding="utf-8")
    monkeypatch.setattr(arms, "FOLDER", place.parent)
    monkeypatch.chdir(tmp_path)
    return place


def command(*words: str):
    return parse(["train", f"experiment={NAME}", "teacher.path=t", "student.path=t", *words])


def test_an_arm_is_its_overrides_and_what_is_typed_wins():
    assert compose(command("arm=few")).config["data"]["share"] == 0.1
    assert compose(command("arm=many")).config["data"]["share"] == 1.0
    assert compose(command("arm=few", "data.share=0.5")).config["data"]["share"] == 0.5


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((f"experiment={NAME}", "arm=all"), "all: expected one of few, many"),
        (("arm=few",), "few: the experiment has no arms"),
    ],
)
def test_an_arm_that_is_not_there_is_refused(words, reason):
    with pytest.raises(BadInput, match=reason):
        compose(parse(["train", *words]))


def test_a_sweep_of_an_experiment_is_a_sweep_of_its_arms():
    plan = planned(command("-m", "seed=0,1,2"))
    assert {key: len(values) for key, values in plan.swept.items()} == {"arm": 2, "seed": 3}
    assert len(plan.jobs) == 6
    assert plan.jobs[0].swept == {"arm": "few", "seed": "0"}
    assert len(planned(command("-m", "arm=few", "seed=0,1")).jobs) == 2


def test_a_pattern_stands_for_the_experiments_at_our_scale():
    assert experiment("experiment=glob(*)") == "experiments=glob('*/*',exclude='*/full_scale')"
    assert experiment("experiment=glob(gkd*)") == "experiments=glob('gkd*/gkd*',exclude='*/full_scale')"
    assert experiment("experiment=a,b/c,none") == "experiments=a/a,b/c,none"
    swept = planned(parse(["train", "-m", "experiment=glob(smollm2_layer*)"])).swept
    assert swept == {"experiments": [f"{NAME}/{NAME}"]}


def sweep_of(place: Path, seeds: int) -> Path:
    """A sweep folder in which every arm is done."""
    sweep = place / "sweep"
    names = [f"{arm}-{seed}" for arm in ("few", "many") for seed in range(seeds)]
    for name in names:
        arm, _, seed = name.partition("-")
        run = sweep / "runs" / name
        run.mkdir(parents=True)
        (sweep / "jobs").mkdir(exist_ok=True)
        (sweep / "jobs" / f"{name}.json").write_text(json.dumps({"swept": {"arm": arm, "seed": seed}}))
        (run / "status.json").write_text('{"state": "done"}')
        row = {"subject": "student", "metric": "nats_per_token", "value": 2.0 + (arm == "few"), "unit": "nats/token"}
        row |= {"split": "test", "step": 1, "seed": int(seed)}
        (run / "metrics.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({**row, "metric": "loss"}) + "\n")
        told = {"command": ["distill", "train", "paths.run='/there'"], "source": {"commit": "a" * 40, "dirty": None}}
        told |= {"began": "2026-11-24T10:00:00+00:00", "ended": "2026-11-24T10:01:30+00:00", "seed": int(seed)}
        (run / "provenance.json").write_text(json.dumps(told))
    (sweep / "sweep.json").write_text(json.dumps({"runs": names, "swept": {"arm": [], "seed": []}, "command": []}))
    return sweep


def stated(*words: str):
    return parse(["train", f"experiment={NAME}", "-m", *words])


def test_a_sweep_as_stated_becomes_the_experiments_results(tmp_path, folder, capsys):
    experiments.kept(stated("seed=0,1,2", "launcher.jobs=1"), sweep_of(tmp_path, 3))
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert [(one["arm"], one["seed"], one["metric"]) for one in lines] == [
        (arm, seed, "nats_per_token") for arm in ("few", "many") for seed in range(3)
    ]
    assert lines[0]["minutes"] == 1.5
    assert lines[0]["command"] == "distill train"
    assert lines[0]["commit"] == "a" * 12
    assert "reproduced (1 of 1, 1 of them by Student's t too)" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "seeds"), [(("seed=0,1,2", "trainer.max_steps=3"), 3), (("seed=0,1",), 2)])
def test_another_sweep_leaves_them_alone(tmp_path, folder, words, seeds):
    sweep = sweep_of(tmp_path, seeds)
    experiments.kept(stated(*words), sweep)
    assert (sweep / "results.jsonl").is_file()
    assert not (folder / "results.jsonl").exists()


def test_the_report_begins_a_readme_and_fills_it(tmp_path, folder, monkeypatch, capsys):
    monkeypatch.setattr(experiments, "ROOT", tmp_path)
    for page in (tmp_path / "README.md", folder.parent / "README.md"):
        page.write_text("<!-- experiments -->\n<!-- /experiments -->\n")
    assert experiments.told() == 0
    assert "more is better" in (folder / "README.md").read_text()
    assert "not run" in (tmp_path / "README.md").read_text()
    assert experiments.stale() == []
    assert f"{NAME}: not run" in capsys.readouterr().out
