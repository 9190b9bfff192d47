"""The re-check measures what it says, and holds a file to its bound."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from distill.errors import NumericalStop
from distill.evaluation.agreement import Agreement
from distill.evaluation.evaluation import Evaluation
from distill.evaluation.likelihood import Likelihood
from distill.evaluation.measure import Measured
from distill.evaluation.subject import Subject
from distill.export.export import Bound
from distill.export.huggingface import HuggingFace
from distill.export.recheck import AGREEMENT, CHANGE, KL, Recheck, hold
from distill.teachers.live import Live

ANYTHING = Bound(kl=1e9, agreement=0.0, bits_per_byte=1e9)
TIGHT = Bound(kl=1e-9, agreement=1.0, bits_per_byte=0.0)
QUICK = {"memory": False, "rounds": 2, "prompt_tokens": 8, "new_tokens": 3}


@pytest.fixture
def exported(sharp, tmp_path):
    """``exported(export)`` -> (export, folder, student)."""

    def make(export):
        student = sharp()
        export.write(student, tmp_path)
        return export, tmp_path, student

    return make


def values(rows):
    return {row.metric: row.value for row in rows}


def test_a_file_that_is_the_student_passes_the_tightest_bound(exported, held_out):
    export, folder, student = exported(HuggingFace(TIGHT))
    found = Recheck(**QUICK).check(export, folder, "file", student, held_out)
    told, own = values(found.file), values(found.student)
    assert (told[AGREEMENT], told[CHANGE]) == (1.0, pytest.approx(0.0, abs=1e-6))
    assert told[KL] == pytest.approx(0.0, abs=1e-9)
    for metric in ("bits_per_byte", "accuracy_top1", "ece"):
        assert told[metric] == pytest.approx(own[metric], rel=1e-5)
    assert {row.subject for row in found.file} == {"file"}
    assert {row.step for row in found.file} == {student.step}


def test_the_numbers_are_those_of_an_evaluation_of_the_same_text(exported, held_out):
    export, folder, student = exported(HuggingFace(ANYTHING, "bfloat16"))
    told = values(Recheck(**QUICK).check(export, folder, "file", student, held_out).file)
    evaluation = Evaluation({"a": Likelihood()}, {})
    own = values(evaluation.evaluate([student], held_out).rows)
    assert told["bits_per_byte"] - told[CHANGE] == pytest.approx(own["bits_per_byte"], rel=1e-5)
    assert told[KL] > 0


def test_agreement_with_the_teacher_is_measured_where_there_is_one(exported, held_out, tiny_llama, tokenizer, tmp_path):
    export, folder, student = exported(HuggingFace(ANYTHING))
    for thing in (tiny_llama(width=24, seed=5), tokenizer):
        thing.save_pretrained(tmp_path / "teacher")
    teacher = Live(str(tmp_path / "teacher"))
    told = values(Recheck(**QUICK).check(export, folder, "file", student, held_out, teacher).file)
    own = values(Evaluation({"a": Agreement()}, {}).evaluate([student], held_out, teacher=teacher).rows)
    assert told["kl_to_teacher"] == pytest.approx(own["kl_to_teacher"], rel=1e-4)
    assert teacher.passes == 0


def test_sizes_and_speeds_are_the_files(exported, held_out):
    export, folder, student = exported(HuggingFace(ANYTHING))
    found = Recheck(**QUICK).check(export, folder, "file", student, held_out)
    told = values(found.file)
    assert told["disk_bytes"] == (folder / "model.safetensors").stat().st_size
    assert told["decode_speedup_to_student"] > 0
    assert values(found.student)["prefill_tokens_per_second"] > 0


def test_tokens_end_the_check_with_the_batch_that_reaches_them(exported, held_out):
    export, folder, student = exported(HuggingFace(ANYTHING))
    found = Recheck(**QUICK, tokens=1).check(export, folder, "file", student, held_out)
    assert {row.n for row in found.file if row.metric == KL} == {22}


@pytest.mark.parametrize(
    ("metric", "beyond", "key"), [(KL, 0.2, "kl"), (AGREEMENT, 0.8, "agreement"), (CHANGE, 0.06, "bits_per_byte")]
)
def test_beyond_a_bound_it_stops_with_the_number_and_the_key(metric, beyond, key):
    bound = Bound(kl=0.1, agreement=0.9, bits_per_byte=0.05)
    with pytest.raises(NumericalStop, match=rf"file {metric}: {beyond:g}: .*export\.bound\.{key}") as stop:
        hold(bound, [Measured(metric, beyond, "x", 5)], "file")
    assert stop.value.code == 3
    with pytest.raises(NumericalStop):
        hold(bound, [Measured(metric, math.nan, "x", 5)], "file")


def test_a_damaged_file_does_not_pass(exported, held_out):
    """Weights lost on the way: the re-check reads the file, not what it was made from."""
    from safetensors.torch import load_file, save_file

    export, folder, student = exported(HuggingFace(Bound(kl=0.01, agreement=0.99, bits_per_byte=0.01)))
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights["model.norm.weight"] = torch.full((32,), 0.5)
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(NumericalStop, match="beyond its bound"):
        Recheck(**QUICK).check(export, folder, "file", student, held_out)


def test_memory_is_asked_of_a_process_of_its_own(exported):
    from distill.export.resident import STATUS, resident

    if not STATUS.exists():
        pytest.skip("no /proc: this system does not tell")
    _, folder, student = exported(HuggingFace(ANYTHING))
    found = resident("huggingface", folder, 8)
    assert found is not None
    assert found >= np.prod(student.model.get_input_embeddings().weight.shape)
    assert resident("no such format", folder, 8) is None


def test_the_teacher_is_told_beside_file_and_student(exported, held_out, tiny_llama, tokenizer, tmp_path):
    """In the same minutes, on the same text; with no word apart from itself."""
    export, folder, student = exported(HuggingFace(ANYTHING))
    for thing in (tiny_llama(width=24, seed=5), tokenizer):
        thing.save_pretrained(tmp_path / "teacher")
    teacher = Live(str(tmp_path / "teacher"))
    beside = Subject("teacher", teacher.model, tokenizer, 300, tmp_path / "teacher")
    found = Recheck(**QUICK).check(export, folder, "file", student, held_out, teacher, beside=beside)
    told = values(found.teacher)
    own = values(Evaluation({"a": Likelihood()}, {}).evaluate([beside], held_out).rows)
    assert told["bits_per_byte"] == pytest.approx(own["bits_per_byte"], rel=1e-5)
    assert (told["top1_agreement"], told["kl_to_teacher"]) == (1.0, 0.0)
    assert told["disk_bytes"] == (tmp_path / "teacher" / "model.safetensors").stat().st_size
    assert {row.subject for row in found.teacher} == {"teacher"}
    assert values(found.file)["decode_speedup_to_teacher"] > 0
    assert values(found.file)["first_token_ms"] > 0


def test_only_supervised_tokens_are_compared_and_all_before_them_are_read(exported, held_out):
    """As of an answer behind its prompt: the same numbers as of these tokens in an evaluation."""
    export, folder, student = exported(HuggingFace(ANYTHING))
    late = []
    for batch in held_out:
        kept = batch.inputs["position_ids"].flatten()[batch.positions] >= 3
        parts = {"positions": batch.positions[kept], "targets": batch.targets[kept], "owners": batch.owners[kept]}
        late.append(replace(batch, **parts, teacher_positions=batch.teacher_positions[kept]))
    found = Recheck(**QUICK).check(export, folder, "file", student, late)
    told = values(found.file)
    assert (told[AGREEMENT], told[KL]) == (1.0, pytest.approx(0.0, abs=1e-9))
    own = values(Evaluation({"a": Likelihood()}, {}).evaluate([student], late).rows)
    assert told["nats_per_token"] == pytest.approx(own["nats_per_token"], rel=1e-5)
