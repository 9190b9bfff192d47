"""Where a loss reads attention weights, both models compute them in the open; nobody has to ask for it."""

import pytest

from distill.cli.arguments import Arguments
from distill.cli.attention import opened, readers
from distill.cli.compose import compose
from distill.errors import BadInput


def config(*overrides: str) -> dict:
    return compose(Arguments("train", overrides=overrides)).config


def refused(*overrides: str) -> str:
    with pytest.raises(BadInput) as caught:
        config(*overrides)
    return str(caught.value)


@pytest.mark.parametrize("objective", ["tinybert", "minilm"])
def test_a_loss_that_reads_attention_weights_opens_both_sides(objective):
    made = config(f"objective={objective}")
    assert readers(made) == ["objective.losses.attention"]
    for side in ("teacher", "student"):
        assert opened(made[side], made) == {**made[side], "attention": "eager"}


def test_one_that_is_only_measured_reads_them_too():
    assert readers(config("objective=minilm", "objective.losses.attention.weight=0"))


@pytest.mark.parametrize("objective", ["minilm_v2", "pkd", "distilbert", "forward_kl"])
def test_nobody_else_has_to_compute_them(objective):
    made = config(f"objective={objective}", "student.dropout=0.1")
    assert readers(made) == []
    assert opened(made["student"], made) == made["student"]
    chosen = config(f"objective={objective}", "student.attention=eager")
    assert opened(chosen["student"], chosen)["attention"] == "eager"


def test_a_part_that_has_no_such_choice_is_left_alone():
    made = config("objective=minilm")
    silent = {"_target_": "distill.teachers.none.NoTeacher"}
    assert opened(silent, made) == silent


def test_what_a_part_of_another_package_has_chosen_stands():
    made = config("objective=minilm")
    assert opened({**made["student"], "attention": "flash"}, made)["attention"] == "flash"


def test_dropout_on_the_maps_is_refused():
    assert "student.dropout: got 0.1, expected 0" in refused("objective=minilm", "student.dropout=0.1")


def test_a_teacher_that_cannot_is_refused_by_what_the_losses_need():
    said = refused("objective=minilm", "teacher=stored")
    assert "objective.losses.attention: needs 'attention' of the teacher" in said
    said = refused("objective=minilm_v2", "teacher=none", "control=none")
    assert "objective.losses.relations: needs 'layers' of the teacher" in said


@pytest.mark.parametrize(("name", "fits"), [("hidden", False), ("hidden_cosine", True), ("patient", False)])
def test_inner_layers_are_asked_for_before_a_weight_is_loaded(name, fits):
    overrides = ("teacher=stored", f"loss@objective.losses.kd={name}")
    if fits:
        config(*overrides)
    else:
        assert "objective.losses.kd: needs 'layers' of the teacher" in refused(*overrides)


def test_a_gate_or_a_softening_that_looks_at_all_logits_is_not_served_by_some():
    few = ("teacher=stored", "signal@teacher.signal=topk")
    config(*few)
    assert "needs 'logits'" in refused(*few, "loss@objective.losses.kd=standardised_kl")
