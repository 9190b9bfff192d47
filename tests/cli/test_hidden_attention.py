"""Attention maps that nobody could read are asked for before a weight is loaded."""

import pytest

from distill.cli.arguments import Arguments
from distill.cli.compose import compose
from distill.errors import BadInput

EAGER = ("teacher.attention=eager", "student.attention=eager")


def refused(*overrides: str) -> str:
    with pytest.raises(BadInput) as caught:
        compose(Arguments("train", overrides=overrides))
    return str(caught.value)


@pytest.mark.parametrize("objective", ["tinybert", "minilm"])
def test_fused_attention_is_refused_with_the_remedy_for_each_side(objective):
    said = refused(f"objective={objective}").splitlines()
    assert len(said) == 2
    for line, side in zip(said, ("teacher", "student"), strict=True):
        assert f"{side}.attention: got 'auto', expected eager: objective.losses.attention" in line
        assert line.endswith(f"add {side}.attention=eager")
    compose(Arguments("train", overrides=(f"objective={objective}", *EAGER)))


def test_one_side_is_told_if_one_is_missing():
    said = refused("objective=minilm", EAGER[0])
    assert "student.attention" in said
    assert "teacher.attention" not in said


def test_dropout_on_the_maps_is_refused():
    assert "student.dropout: got 0.1, expected 0" in refused("objective=minilm", *EAGER, "student.dropout=0.1")


@pytest.mark.parametrize("objective", ["minilm_v2", "pkd", "distilbert", "forward_kl"])
def test_nobody_else_has_to_compute_them(objective):
    compose(Arguments("train", overrides=(f"objective={objective}", "student.dropout=0.1")))


def test_a_teacher_that_says_nothing_is_told_so_by_what_the_losses_need():
    said = refused("objective=minilm_v2", "teacher=none", "control=none")
    assert "objective.losses.relations: needs 'layers' of the teacher" in said
