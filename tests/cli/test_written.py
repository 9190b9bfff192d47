"""A loss about written text is refused where nobody writes, and says who could."""

import pytest

from distill.cli.arguments import parse
from distill.cli.compose import compose
from distill.errors import BadInput
from distill.models import shape
from distill.training.comparison import steps_of_subjects


@pytest.mark.parametrize(("objective", "writer"), [("minillm", "student"), ("distillm2", "pairs")])
def test_refused_without_a_writer_and_composed_with_it(objective, writer):
    with pytest.raises(BadInput, match=f"this rollout writes none; write rollout={writer}"):
        compose(parse(["train", f"objective={objective}"]))
    compose(parse(["train", f"objective={objective}", f"rollout={writer}"]))


def test_the_control_is_paid_what_writing_cost(tiny_llama):
    student, teacher = shape(tiny_llama()), shape(tiny_llama(layers=4))
    plain = steps_of_subjects("both", 300, student, teacher)
    wrote = steps_of_subjects("both", 300, student, teacher, written=3 * student.flops_per_token)
    assert wrote["control"] == plain["control"] == 300
    assert wrote["control_compute"] == plain["control_compute"] + 300


def test_a_store_of_what_nobody_reads_again_is_refused():
    with pytest.raises(BadInput, match="it would be read by nobody; write teacher=nursery"):
        compose(parse(["train", "teacher=stored", "rollout=student"]))
    compose(parse(["train", "teacher=stored"]))
