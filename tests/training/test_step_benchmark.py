"""The benchmark of a step runs, and compares the same work."""

import pytest
import torch

from benchmarks.step import bare, measure, objective, text
from distill.students.from_scratch import FromScratch
from distill.teachers.none import NoTeacher


def test_packed_and_padded_hold_the_same_kind_of_pieces(tmp_path):
    packed, padded = (text(64, rows, packing, str(tmp_path)) for rows, packing in ((4, True), (16, False)))
    for data in (packed, padded):
        data.kept(3)
        assert len(data.batches) == 3
    assert all("attention_mask" not in batch.inputs for batch in packed.batches)
    assert all("attention_mask" in batch.inputs for batch in padded.batches)


def test_the_bare_loop_trains(tmp_path):
    data = text(64, 4, True, str(tmp_path))
    data.kept(3)
    student = FromScratch(layers=1, width=16).build(data.prepare())
    before = student.lm_head.weight.detach().clone()
    weighs = objective()
    weighs.losses["kd"].weight = 0.0
    assert bare(student, NoTeacher(), data.batches, weighs) > 0
    assert not torch.equal(before, student.lm_head.weight)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_rows_and_table(capsys):
    rows = measure(rounds=1, steps=4)
    assert {row.metric for row in rows} == {"step/bare", "step/overhead", "step/packing"}
    assert "packing over random padding" in capsys.readouterr().out
