"""A claim has a control: which models a run trains so that its student can be judged.

``control`` takes the student's own steps on the same batches from the same initial weights, without a teacher.
``control_compute`` takes as many more as the teacher's forward passes would have paid for.
"""

import math
from typing import Literal

from distill.losses.cross_entropy import CrossEntropy
from distill.losses.ctc import CTC
from distill.losses.loss import Loss
from distill.losses.objective import Objective
from distill.losses.sentence_pairs import SentencePairs
from distill.types import Family, ModelShape

Control = Literal["both", "steps", "compute", "none"]

STUDENT, CONTROL, CONTROL_COMPUTE = "student", "control", "control_compute"


def steps_of_subjects(
    control: Control,
    steps: int,
    student: ModelShape,
    teacher: ModelShape | None,
    rate: float = 1.0,
    unsized: bool = False,
    written: float = 0.0,
) -> dict[str, int]:
    """Optimiser steps by subject, the student first.

    Formula: steps_compute = ⌈steps · (3·F_s + r·F_t + w) / (3·F_s)⌉, F the FLOPs of a forward pass a token; a backward
    pass costs two forward passes, and the teacher makes none; r the ``rate`` of its tokens to the student's, which is
    not 1 for another tokenizer; w what the rollout spends on ``written`` text, per supervised token.

    Without a teacher there is nothing to control for. Beside a teacher of unknown size (``unsized``: it runs elsewhere)
    there is a control at equal steps and none at equal compute.
    """
    subjects = {STUDENT: steps}
    if teacher is None and not unsized:
        return subjects
    if control in ("both", "steps"):
        subjects[CONTROL] = steps
    if control in ("both", "compute") and teacher is not None:
        own = 3 * student.flops_per_token
        subjects[CONTROL_COMPUTE] = math.ceil(steps * (own + rate * teacher.flops_per_token + written) / own)
    return subjects


def criterion(family: Family) -> Loss:
    """How far a model is from the data alone: what controls are trained on, and what chooses the best point."""
    made: dict[str, type[Loss]] = {"ctc": CTC, "encoder": SentencePairs}
    return made.get(family, CrossEntropy)()


def without_teacher(family: Family = "causal") -> Objective:
    """What a control is trained on: the data alone."""
    return Objective({"ce": criterion(family)})
