"""One pass measures every subject as a naive computation would, however the text is cut, and leaves no trace."""

import copy
from dataclasses import replace

import pytest
import torch

from distill.data.prompts import Prompt
from distill.evaluation import evaluation
from distill.evaluation.agreement import Agreement
from distill.evaluation.calibration import Calibration
from distill.evaluation.continuations import Continuations
from distill.evaluation.evaluation import Evaluation
from distill.evaluation.likelihood import Likelihood
from distill.evaluation.speed import Speed
from distill.evaluation.subject import Subject
from distill.models import answer
from distill.teachers.none import NoTeacher
from distill.types import Spans


@pytest.fixture
def measures() -> Evaluation:
    return Evaluation({"likelihood": Likelihood(), "agreement": Agreement(), "calibration": Calibration()}, {})


def values(evaluated, subject="student") -> dict[str, float]:
    return {row.metric: row.value for row in evaluated.rows if row.subject == subject}


def test_equal_to_the_naive_computation_in_float64(measures, held_out, student, teacher):
    found = values(measures.evaluate([student], held_out, teacher=teacher))
    sides = []
    for model in (student.model, teacher.model):
        exact = copy.deepcopy(model).double().eval()
        logits = [exact(b.inputs["input_ids"]).logits.flatten(0, 1)[b.positions] for b in held_out]
        sides.append(torch.cat(logits).log_softmax(-1))
    log_q, log_p = sides
    targets = torch.cat([batch.targets for batch in held_out])
    nats = -log_q.gather(1, targets[:, None]).mean().item()
    assert found["nats_per_token"] == pytest.approx(nats, rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(nats / torch.tensor(2.0).log().item() * 66 / 132, rel=1e-5)
    assert found["kl_to_teacher"] == pytest.approx((log_p.exp() * (log_p - log_q)).sum(-1).mean().item(), rel=1e-4)
    assert found["top1_agreement"] == pytest.approx((log_p.argmax(-1) == log_q.argmax(-1)).double().mean().item())
    assert found["accuracy_top1"] == pytest.approx((log_q.argmax(-1) == targets).double().mean().item())


def test_a_model_without_weights_is_uniform(measures, held_out, student):
    for parameter in student.model.parameters():
        parameter.data.zero_()
    assert values(measures.evaluate([student], held_out))["perplexity"] == pytest.approx(300, rel=1e-5)


def test_cutting_the_tokens_differently_changes_nothing(measures, held_out, student, teacher, monkeypatch):
    whole = measures.evaluate([student], held_out, teacher=teacher)
    monkeypatch.setattr(evaluation, "ELEMENTS", 5 * 300)
    monkeypatch.setattr(evaluation, "FEWEST", 1)
    pieces = measures.evaluate([student], held_out, teacher=teacher)
    assert values(pieces) == pytest.approx(values(whole), rel=1e-6, nan_ok=True)


def test_subjects_side_by_side_are_as_alone(measures, held_out, student, teacher, tiny_llama, tokenizer):
    other = Subject("control", tiny_llama(seed=3), tokenizer, 300)
    both = measures.evaluate([student, other], held_out, teacher=teacher)
    for subject in (student, other):
        assert values(both, subject.name) == pytest.approx(
            values(measures.evaluate([subject], held_out, teacher=teacher), subject.name), nan_ok=True
        )


def test_surplus_rows_of_a_padded_embedding_are_not_there(measures, held_out, student, tiny_llama, tokenizer):
    padded = tiny_llama(vocabulary=320)
    padded.load_state_dict(
        student.model.state_dict()
        | {"model.embed_tokens.weight": torch.full((320, 16), 9.0)}
        | {"lm_head.weight": torch.full((320, 16), 9.0)}
    )
    padded.get_input_embeddings().weight.data[:300] = student.model.get_input_embeddings().weight.data
    found = measures.evaluate([student, Subject("padded", padded, tokenizer, 300)], held_out)
    assert values(found, "padded") == pytest.approx(values(found, "student"), rel=1e-5, nan_ok=True)


def test_the_teacher_measured_as_a_subject_is_itself(measures, held_out, teacher, tokenizer):
    found = values(
        measures.evaluate([Subject("teacher", teacher.model, tokenizer, 300)], held_out, teacher=teacher), "teacher"
    )
    assert (found["top1_agreement"], found["kl_to_teacher"], found["reverse_kl_to_teacher"]) == (1.0, 0.0, 0.0)


def test_a_teacher_that_is_a_subject_reads_the_text_once(measures, held_out, teacher, student, tokenizer, monkeypatch):
    read = []
    monkeypatch.setattr(evaluation, "answer", lambda model, *a, **k: read.append(model) or answer(model, *a, **k))
    subjects = [Subject("teacher", teacher.model, tokenizer, 300), student]
    once = measures.evaluate(subjects, held_out, teacher=teacher)
    assert read == [student.model] * 3
    again = measures.evaluate([replace(subjects[0], model=copy.deepcopy(teacher.model))], held_out)
    assert values(again, "teacher").items() <= values(once, "teacher").items()


def test_rows_say_whose_when_and_of_what(measures, held_out, student):
    rows = measures.evaluate([student], held_out, seed=4, split="validation").rows
    assert {(row.subject, row.step, row.seed, row.split) for row in rows} == {("student", 9, 4, "validation")}
    nats = next(row for row in rows if row.metric == "nats_per_token")
    assert nats.n == 66
    assert nats.low < nats.value < nats.high


@pytest.mark.parametrize("silent", [None, NoTeacher()])
def test_without_a_teacher_agreement_is_left_out(measures, held_out, student, silent):
    found = values(measures.evaluate([student], held_out, teacher=silent))
    assert "nats_per_token" in found
    assert not {"kl_to_teacher", "top1_agreement"} & found.keys()


def test_a_teacher_of_other_tokens_is_compared_in_bits_per_byte_alone(measures, held_out, student, teacher, tokenizer):
    """The teacher reads the same bytes as half as many tokens; each side is measured on its own."""
    crossed = []
    for batch in held_out:
        places, targets, owners = batch.positions[::2], batch.targets[::2], batch.owners[::2]
        spans = Spans(*[batch.positions] * 2, targets, owners, places, places, teacher_bytes=44)
        crossed.append(replace(batch, teacher_positions=places, spans=spans))
    subjects = [Subject("teacher", teacher.model, tokenizer, 300, taught=True), student]
    found = measures.evaluate(subjects, crossed, teacher=teacher)
    assert "kl_to_teacher" not in values(found) | values(found, "teacher")
    counts = {row.subject: row.n for row in found.rows if row.metric == "nats_per_token"}
    assert counts == {"teacher": 33, "student": 66}
    alone = measures.evaluate([student], held_out)
    assert values(found) == pytest.approx(values(alone), nan_ok=True)
    own = values(found, "teacher")
    nats = own["nats_per_token"] * counts["teacher"]
    assert own["bits_per_byte"] == pytest.approx(nats / torch.tensor(2.0).log().item() / 132, rel=1e-5)


def test_measuring_leaves_models_and_counters_as_they_were(measures, held_out, student, teacher):
    teacher.passes = 5
    state = torch.get_rng_state()
    measures.evaluate([student], held_out, teacher=teacher)
    assert student.model.training
    assert teacher.passes == 5
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in student.model.parameters())


def test_dropout_is_off_and_two_measurements_are_equal(measures, held_out, student):
    first, second = (measures.evaluate([student], held_out).rows for _ in range(2))
    assert [row.line() for row in first] == [row.line() for row in second]


def test_it_stops_with_the_batch_that_reaches_the_tokens(measures, held_out, student):
    measures.tokens = 23
    rows = measures.evaluate([student], held_out).rows
    assert next(row.n for row in rows if row.metric == "nats_per_token") == 44


def test_samples_of_different_batches_are_different_samples(measures, held_out, student):
    owners = [replace(batch, owners=torch.zeros_like(batch.owners), samples=("one",)) for batch in held_out]
    rows = measures.evaluate([student], owners).rows
    assert next(row for row in rows if row.metric == "nats_per_token").low is not None


def test_measures_of_models_and_texts_stand_beside(held_out, student):
    models = {"speed": Speed(prompt_tokens=8, new_tokens=2, rounds=1, seconds=0)}
    found = Evaluation({}, models, Continuations(1, 3)).evaluate([student], held_out, [Prompt((1, 2), "ab", "c")])
    assert {row.split for row in found.rows} == {"none"}
    assert [set(sample) for sample in found.samples] == [{"subject", "prompt", "text"}]


def test_nothing_is_measured_with_no_measures(student):
    found = Evaluation({}, {}).evaluate([student], [])
    assert (found.rows, found.samples) == ([], [])
