"""A dry run tells what would be, with the numbers of the run that would follow, and creates nothing."""

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from rich.console import Console

from distill.cli.arguments import Arguments
from distill.cli.changes import flat
from distill.cli.compose import compose
from distill.cli.dry_run import show
from distill.cli.estimate import Estimate, amount, estimate, refuse_hopeless
from distill.errors import ResourceStop
from distill.types import ModelShape


def told(*overrides: str) -> str:
    console = Console(width=200, file=open(os.devnull, "w"), record=True)  # noqa: SIM115
    show(compose(Arguments("train", overrides=overrides)), console)
    console.file.close()
    return console.export_text()


def test_it_tells_the_difference_and_creates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    said = told("objective.temperature=3", "student.layers=4", "name='[red]x[/red]'", "wandb.entity=a")
    assert list(tmp_path.iterdir()) == []
    for part in ("objective.temperature", "command line", "4 layers, width 64", "[red]x[/red]", "teacher = nursery"):
        assert part in said
    assert "optim.beta1" not in said


def test_without_a_change_there_is_no_difference() -> None:
    assert "nothing" in told()


def test_its_numbers_are_those_of_the_models() -> None:
    config = compose(Arguments("train", overrides=("control=both",))).config
    numbers = estimate(config)
    assert numbers.tokens_per_step == config["data"]["batch_size"] * config["data"]["sequence_length"]
    assert list(numbers.steps) == ["student", "control", "control_compute"]
    assert numbers.steps["student"] == numbers.steps["control"] == config["trainer"]["max_steps"]
    assert numbers.disk > 3 * 4 * numbers.student.parameters
    assert numbers.teacher is not None
    assert numbers.passes == numbers.steps["student"]
    assert numbers.asking == numbers.steps["student"] * numbers.tokens_per_step * numbers.teacher.flops_per_token
    assert numbers.training == 3 * numbers.tokens * numbers.student.flops_per_token
    doubled = estimate({**config, "trainer": {**config["trainer"], "accumulate_grad_batches": 2}})
    assert doubled.tokens_per_step == 2 * numbers.tokens_per_step


def test_time_passes_and_size_of_a_store_are_told_before_anything_is_written(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    said = " ".join(told("teacher=stored", "trainer.max_steps=7", "trainer.accumulate_grad_batches=3").split())
    assert "in 21 passes, about" in said
    assert said.count("by calculation (") == 2
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("scale", [1e13, 1e15, 1e18])
@pytest.mark.parametrize("what", ["disk_peak", "memory"])
def test_a_hopeless_run_is_refused(what: str, scale: float, tmp_path: Path) -> None:
    shape = ModelShape(layers=1, width=1, heads=1, vocabulary=1, parameters=1, embedding_parameters=1)
    numbers = {"memory": 1, "disk": 1, "disk_peak": 1} | {what: int(scale)}
    with pytest.raises(ResourceStop) as caught:
        refuse_hopeless(Estimate(shape, None, {"student": 1}, 1, **numbers), str(tmp_path / "not" / "yet"))
    assert caught.value.code == 4
    assert amount(scale) in str(caught.value)


def test_an_estimate_is_held_against_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("psutil.disk_usage", lambda path: usage(100))
    shape = ModelShape(layers=1, width=1, heads=1, vocabulary=1, parameters=1, embedding_parameters=1)
    refuse_hopeless(Estimate(shape, None, {}, 1, memory=1, disk=99, disk_peak=100), str(tmp_path))
    with pytest.raises(ResourceStop):
        refuse_hopeless(Estimate(shape, None, {}, 1, memory=1, disk=99, disk_peak=101), str(tmp_path))


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 20, "5.0 MiB"), (3 << 40, "3.0 TiB")]
)
def test_amounts(count: int, said: str) -> None:
    assert amount(count) == said


RUNS = [
    ("student.width=128", "student.layers=4"),
    ("student.width=192", "control=none", "teacher=none", "objective=cross_entropy"),
    ("student.width=256", "control=none", "student.tied=false", "teacher=none", "objective=cross_entropy"),
    ("student.width=64", "logger=none", "control=steps"),
    ("student.width=96", "data.tokenizer.size=2048", "control=compute"),
]


@pytest.mark.slow
@pytest.mark.parametrize("overrides", RUNS, ids=" ".join)
def test_the_disk_that_was_foretold_is_the_disk_that_is_used(
    overrides: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    fast = ("debug=fast", "data.share=0.03", "paths.run=run")
    recipe = () if "teacher=none" in overrides else ("teacher.recipe.steps=4",)
    given = ("train", *fast, *recipe, *overrides)
    foretold = estimate(compose(Arguments("train", overrides=given[1:])).config).disk
    done = subprocess.run([sys.executable, "-m", "distill", *given], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    used = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert abs(foretold - used) / used < 0.05, (foretold, used)


def test_flat_keys() -> None:
    assert dict(flat({"a": {"b": 1, "c": {}}, "d": [1]})) == {"a.b": 1, "a.c": {}, "d": [1]}
