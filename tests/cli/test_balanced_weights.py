"""A weight is balanced against other terms; where there are none, or where it is no weight, that is told."""

import pytest

from distill.cli.arguments import Arguments
from distill.cli.compose import compose
from distill.errors import BadInput

KD = "+weight@objective.losses.kd.weight=balanced"


def refused(*overrides: str) -> str:
    with pytest.raises(BadInput) as caught:
        compose(Arguments("train", overrides=overrides))
    return str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        (KD, "objective.losses.ce.weight=1"),
        (KD, "+weight@objective.losses.ce.weight=grad_norm"),
        (KD, "+weight@objective.losses.ce.weight=linear"),
        (KD, "objective=hinton"),
    ],
)
def test_it_stands_beside_any_other_weight(overrides):
    compose(Arguments("train", overrides=overrides))


def test_alone_it_has_nothing_to_be_balanced_with():
    said = refused(KD)
    assert "objective.losses.kd.weight: is balanced, but no other loss has a weight to balance it with" in said
    assert said.endswith("write objective.losses.ce.weight=1")


@pytest.mark.parametrize(
    "override",
    ["+weight@objective.temperature=balanced", "+weight@objective.losses.kd.temperature=balanced"],
)
def test_only_a_weight_is_balanced(override):
    assert "only the weight of a loss can be balanced" in refused(override, "objective=hinton")
