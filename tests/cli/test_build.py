"""A checked node becomes an object: inside out, plain containers, nothing that is not allowed."""

import pytest

from distill.cli.arguments import Arguments
from distill.cli.build import instantiate
from distill.cli.compose import compose
from distill.errors import BadInput


def test_the_default_objective_is_built_with_its_losses() -> None:
    config = compose(Arguments("train", overrides=("objective.losses.kd.weight=0.25",))).config
    objective = instantiate(config["objective"])
    assert list(objective.losses) == ["kd", "ce"]
    assert objective.losses["kd"].weight == 0.25
    assert isinstance(objective.losses["kd"].weight, float)


def test_containers_are_plain() -> None:
    node = {"a": [1, {"b": 2.0}], "c": None}
    built = instantiate(node)
    assert built == node
    assert type(built["a"]) is list
    assert built is not node


def test_extra_arguments_win_and_partials_wait() -> None:
    node = {"_target_": "distill.students.from_scratch.FromScratch", "layers": 2, "width": 16, "heads": 2}
    assert instantiate(node, layers=3).layers == 3
    later = instantiate({**node, "_partial_": True})
    assert later(layers=4).layers == 4


def test_what_does_not_import_is_bad_input() -> None:
    with pytest.raises(BadInput):
        instantiate({"_target_": "distill.students.from_scratch.Nothing"})
