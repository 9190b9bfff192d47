"""Which controls a run has, and how many steps a teacher's passes are worth."""

from dataclasses import replace

import pytest

from distill.training.comparison import steps_of_subjects
from distill.types import ModelShape

STUDENT = ModelShape(layers=2, width=8, heads=2, vocabulary=10, parameters=180, embedding_parameters=80, tied=False)
TEACHER = replace(STUDENT, parameters=680)


def test_a_teacher_of_six_times_the_flops_pays_for_two_more_passes_a_step():
    assert STUDENT.flops_per_token == 200.0
    assert TEACHER.flops_per_token == 1200.0
    assert steps_of_subjects("compute", 100, STUDENT, TEACHER, rate=0.0)["control_compute"] == 100
    told = steps_of_subjects("both", 100, STUDENT, TEACHER)
    assert told == {"student": 100, "control": 100, "control_compute": 300}


@pytest.mark.parametrize(
    ("control", "subjects"),
    [("none", ["student"]), ("steps", ["student", "control"]), ("compute", ["student", "control_compute"])],
)
def test_controls_by_name(control, subjects):
    assert list(steps_of_subjects(control, 10, STUDENT, TEACHER)) == subjects


def test_without_a_teacher_there_is_nothing_to_control_for():
    assert list(steps_of_subjects("both", 10, STUDENT, None)) == ["student"]


def test_beside_a_teacher_of_unknown_size_there_is_a_control_at_equal_steps_alone():
    assert list(steps_of_subjects("both", 10, STUDENT, None, unsized=True)) == ["student", "control"]
