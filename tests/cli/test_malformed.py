"""Every malformed config is refused in one line a fault, with exit code 2, and nothing is created."""

import re
from pathlib import Path

import pytest

from distill.cli.arguments import Arguments, experiment
from distill.cli.compose import compose
from distill.errors import BadInput
from tests.cli.malformed import Case, cases, variants

LINE = re.compile(r"^(command line|--[a-z-]+|\S+\.yaml(:\d+)?)\b.*: \S.*", re.DOTALL)


def refusal(case: Case, folder: Path) -> BadInput:
    configs = folder / "configs"
    (configs / "student").mkdir(parents=True, exist_ok=True)
    if case.text is not None:
        (configs / "student" / "tried.yaml").write_bytes(case.text)
    before = sorted(folder.rglob("*"))
    with pytest.raises(BadInput) as caught:
        compose(Arguments("train", overrides=tuple(map(experiment, case.overrides)), config_dir=str(configs)))
    assert sorted(folder.rglob("*")) == before
    return caught.value


def check(case: Case, folder: Path) -> None:
    error = refusal(case, folder)
    lines = str(error).split("\n")
    assert error.code == 2
    assert all(LINE.match(line) for line in lines), lines
    assert all(line.isprintable() and len(line) < 600 for line in lines), lines
    assert case.expects in str(error), (case, str(error))


def accept(overrides: tuple[str, ...]) -> None:
    compose(Arguments("train", overrides=("teacher.path=somewhere", *overrides)))


@pytest.mark.parametrize("case", cases(seed=0, share=0.1), ids=lambda case: case.kind)
def test_a_malformed_config_is_refused(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(case, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_thousand_malformed_configs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tried = cases(seed=1)
    assert len(tried) == 1000
    for number, case in enumerate(tried):
        folder = tmp_path / str(number)
        folder.mkdir()
        check(case, folder)


@pytest.mark.parametrize("overrides", [*variants(seed=0, count=25)], ids=" ".join)
def test_a_valid_variant_is_accepted(overrides: tuple[str, ...]) -> None:
    accept(overrides)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_hundred_valid_variants_are_accepted() -> None:
    for overrides in variants(seed=1, count=200):
        accept(overrides)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    written = "_target_: distill.students.from_scratch.FromScratch\nlayers: many\nwidht: 64\n"
    (tmp_path / "student" / "tried.yaml").write_text(written)
    given = ("student=tried", "objective.temprature=3", "seed=-1", "teacher=nurserie", "sed=2")
    with pytest.raises(BadInput) as caught:
        compose(Arguments("train", overrides=given, config_dir=str(tmp_path)))
    said = str(caught.value)
    assert len(said.split("\n")) == 6
    for part in (
        "tried.yaml:2 student.layers: got 'many', expected a whole number ≥ 1",
        "tried.yaml:3 student.widht: got 64, but FromScratch has no 'widht' (did you mean width?)",
        "command line objective.temprature: got 3, but Objective has no 'temprature' (did you mean temperature?)",
        "command line seed: got -1, expected a whole number ≥ 0",
        "command line teacher: got 'nurserie', expected one of",
        "(did you mean nursery?)",
        "command line sed: got 2, but distill train has no 'sed' (did you mean seed?)",
    ):
        assert part in said
