"""A control that several runs would train alike is trained once, and is the one that each would have trained."""

import json
import random

import pytest

from distill.__main__ import main
from distill.cli.controls import PLACE
from distill.rows import METRICS, WALL_CLOCK_UNITS, read


@pytest.fixture
def words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    chance = random.Random(0)
    texts = [" ".join(chance.choices(["teacher", "student", "token", "loss", "layer"], k=30)) for _ in range(120)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    sizes = ["teacher.recipe.student.layers=1", "teacher.recipe.student.width=16", "teacher.recipe.student.heads=2"]
    sizes += ["student.layers=1", "student.width=8", "student.heads=2", "data.tokenizer.size=280"]
    text = ["data.path=corpus.jsonl", "data.share=1.0", "data.validation=0.1", "data.test=0.1", "data.batch_size=4"]
    steps = ["teacher.recipe.steps=3", "trainer.max_steps=3", "trainer.log_every_n_steps=1", "cadence.validate=2"]
    return ["train", *sizes, *text, *steps, "data.sequence_length=32", "control=steps", "measure=none", "logger=csv"]


def weights(run):
    return (run / "control" / "model.safetensors").read_bytes()


def told(run):
    rows = [row for row in read(run / METRICS) if row.subject == "control" and row.unit not in WALL_CLOCK_UNITS]
    return [(row.metric, row.split, row.step, row.value) for row in rows]


def test_a_shared_control_is_the_one_that_a_run_would_have_trained(words, tmp_path, monkeypatch, capsys):
    assert main([*words, "paths.run=alone"]) == 0
    monkeypatch.setenv(PLACE, str(tmp_path / "shared"))
    capsys.readouterr()
    for temperature in (1, 2):
        assert main([*words, f"paths.run=run{temperature}", f"objective.temperature={temperature}"]) == 0
    assert capsys.readouterr().out.count("another run of this sweep has trained it") == 1
    assert len(list((tmp_path / "shared").iterdir())) == 1
    for run in (tmp_path / "run1", tmp_path / "run2"):
        assert weights(run) == weights(tmp_path / "alone")
        assert told(run) == told(tmp_path / "alone")
        assert "control/loss/ce" in next((run / "csv").rglob("metrics.csv")).read_text()


def test_what_matters_to_a_control_makes_another(words, tmp_path, monkeypatch):
    monkeypatch.setenv(PLACE, str(tmp_path / "shared"))
    for number, word in enumerate(["seed=0", "seed=1", "optim.learning_rate=0.1", "student.width=16"]):
        assert main([*words, f"paths.run=run{number}", word]) == 0
    assert len(list((tmp_path / "shared").iterdir())) == 4
    assert len({weights(tmp_path / f"run{number}") for number in range(4)}) == 4
