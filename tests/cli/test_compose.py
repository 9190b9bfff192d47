"""What a composed config is: plain, resolved, in one written form, with the line of every key."""

from pathlib import Path

import pytest

from distill.cli.arguments import Arguments
from distill.cli.compose import Composed, compose
from distill.errors import BadInput


def of(*overrides: str, **more: str) -> Composed:
    return compose(Arguments("train", overrides=overrides, **more))  # pyright: ignore[reportArgumentType]


def refusal(*overrides: str, **more: str) -> str:
    with pytest.raises(BadInput) as caught:
        of(*overrides, **more)
    return str(caught.value)


def test_every_key_knows_its_line() -> None:
    composed = of("seed=3")
    assert composed.origin("seed") == "command line"
    for key, file in {
        "student.layers": "conf/student/small.yaml:",
        "objective.losses.kd.divergence._target_": "conf/loss/forward_kl.yaml:",
        "objective.losses.ce.weight": "conf/objective/forward_kl.yaml:",
        "control": "conf/train.yaml:",
    }.items():
        place, _, line = composed.origin(key).rpartition(":")
        assert f"{place}:".endswith(file)
        name = key.rpartition(".")[2]
        assert name in Path(place).read_text(encoding="utf-8").splitlines()[int(line) - 1]


def test_the_result_is_plain_and_resolved() -> None:
    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return type(value) is dict and all(plain(inner) for inner in value.values())
        if isinstance(value, list):
            return type(value) is list and all(plain(inner) for inner in value)
        return value is None or type(value) in (str, int, float, bool)

    config = of("objective.temperature=2").config
    assert plain(config)
    assert config["data"]["seed"] == config["seed"]
    assert type(config["objective"]["temperature"]) is float
    assert "hydra" not in config
    assert "defaults" not in config


def test_choices_are_told() -> None:
    choices = of("teacher=nursery_small", "loss@objective.losses.kd=reverse_kl").choices
    assert choices["teacher"] == "nursery_small"
    assert choices["loss@objective.losses.kd"] == "reverse_kl"


def test_a_key_that_no_yaml_lists_needs_no_plus() -> None:
    assert of("student.dropout=0.1").config["student"]["dropout"] == 0.1
    assert of("+student.dropout=0.1").config["student"]["dropout"] == 0.1


@pytest.mark.parametrize("name", ["plain", "it's (a) folder, = with [all] {sorts}", "Ünïcödé $HOME"])
def test_a_folder_of_ones_own_adds_choices(tmp_path: Path, name: str) -> None:
    tmp_path = tmp_path / name
    tmp_path.mkdir()
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "mine.yaml").write_text("defaults: [small]\nlayers: 7\n")
    assert of("student=mine", config_dir=str(tmp_path)).config["student"]["layers"] == 7
    assert "mine" in refusal("student=mien", config_dir=str(tmp_path))


def test_several_values_want_a_sweep() -> None:
    said = refusal("objective.temperature=1,2", "teacher=nursery,none")
    assert said.count("several values") == 2
    assert "add -m" in said


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["teacher=none", "control=none"], ["objective.losses.kd", "'logits'", "NoTeacher", "~objective.losses.kd"]),
        (["data.path=a", "data.name=b"], ["data.path, data.name", "'a' and 'b'"]),
        (["teacher=none", "objective=cross_entropy"], ["control", "write control=none"]),
        (["objective.losses.kdd.weight=1"], ["objective.losses.kdd", "did you mean kd?"]),
        (["student=layer_drop"], ["student.path", "is missing"]),
        (["trainer.precision=bf17-mixed"], ["trainer.precision", "did you mean bf16-mixed?"]),
        (["student.width=64.0"], ["got 64.0, expected a whole number ≥ 1"]),
        (["objective.temperature=0"], ["got 0, expected a number > 0"]),
        (["data.share=1.5"], ["got 1.5, expected a number > 0 and ≤ 1"]),
        (["teacher=distill"], ["expected one of", "live", "more (distill list shows all)"]),
        (["student=reverse_kl"], ["expected one of", "layer_drop", "more (distill list shows all)"]),
        (["student={_target_: distill.teachers.none.NoTeacher}"], ["student._target_", "expected a Student"]),
        (["optim._target_=distill.training.optim.AdanW"], ["did you mean distill.training.optim.AdamW?"]),
        (
            ["objective.losses.kd.divergence.beta=1"],
            ["objective.losses.kd.divergence.beta", "forward_kl has no 'beta'"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and "=" in value[0] else "",
)
def test_a_refusal_says_what_to_do(overrides: list[str], parts: list[str]) -> None:
    said = refusal(*overrides)
    assert all(part in said for part in parts), said


def test_a_teacher_without_control_is_plain_training() -> None:
    of("teacher=none", "control=none", "objective=cross_entropy")


def test_home_is_written_with_a_tilde() -> None:
    assert of("data.path=~/notes (1).txt").config["data"]["path"] == str(Path("~/notes (1).txt").expanduser())
