"""What a teacher is known by before a training, against the plain formulas on its whole logits."""

import math

import pytest
import torch

from distill.evaluation.aptitude import BINS, aptitude
from distill.models import answer
from distill.signals.dense import Dense
from distill.signals.topk import TopK
from distill.teachers.none import NoTeacher
from distill.teachers.teacher import Teacher
from tests.training.conftest import batch


class Said(Teacher):
    """Says logits drawn once for each batch."""

    provides = frozenset({"logits"})

    def __init__(self, k: int | None = None) -> None:
        self.k = k

    def logits(self, given):
        generator = torch.Generator().manual_seed(int(given.targets.sum()))
        return 3 * torch.randn(given.tokens, 300, generator=generator)

    def teach(self, given, request):
        self.passes += 1
        values = self.logits(given)
        return Dense(values) if self.k is None else TopK.of(values, self.k, 1.0)


@pytest.fixture
def batches():
    return [batch(index) for index in range(6)]


@pytest.fixture
def student(tiny_llama):
    return tiny_llama(width=8, dropout=0.5).train()


def test_everything_is_its_formula(batches, student):
    teacher = Said()
    found = aptitude(teacher, student, batches, samples=8, vocabulary=300)
    used = batches[:2]  # four samples each
    log_p = torch.cat([teacher.logits(one) for one in used]).double().log_softmax(-1)
    targets = torch.cat([one.targets for one in used])
    right = log_p.argmax(-1) == targets
    assert found.tokens == len(targets)
    assert found.nats.value == pytest.approx(float(-log_p.gather(1, targets[:, None]).mean()), rel=1e-5)
    assert found.bits_per_byte == pytest.approx(found.nats.value / 2 / math.log(2))  # two bytes a token
    assert found.entropy.value == pytest.approx(float(-(log_p.exp() * log_p).sum(-1).mean()), rel=1e-5)
    assert found.accuracy.value == pytest.approx(float(right.double().mean()))
    confidence = log_p.max(-1).values.exp()
    places = (confidence * BINS).long().clamp(max=BINS - 1)
    gaps = [(confidence[places == b] - right[places == b].double()).sum().abs() for b in range(BINS)]
    assert found.calibration_error == pytest.approx(float(sum(gaps) / len(targets)), rel=1e-4)
    assert found.certainty == pytest.approx(float(confidence.mean() - right.double().mean()), rel=1e-4)
    with torch.no_grad():
        student.eval()
        said = [answer(student, one.inputs, one.positions) for one in used]
    top = torch.cat([one.head.logits(one.hidden).argmax(-1) for one in said])
    assert found.agreement.value == pytest.approx(float((top == log_p.argmax(-1)).double().mean()))


def test_it_counts_no_passes_and_leaves_the_student_as_it_was(batches, student):
    teacher = Said()
    aptitude(teacher, student, batches, samples=100, vocabulary=300)
    assert teacher.passes == 0
    assert student.training


def test_of_one_that_tells_its_likeliest_it_is_a_bound(batches, student):
    whole = aptitude(Said(), student, batches, samples=24, vocabulary=300)
    bound = aptitude(Said(k=5), student, batches, samples=24, vocabulary=300)
    assert bound.nats.value <= whole.nats.value
    assert bound.entropy.value <= whole.entropy.value
    assert bound.accuracy.value == whole.accuracy.value


def test_without_a_student_nothing_is_compared_and_without_a_teacher_nothing_is_known(batches):
    assert aptitude(Said(), None, batches, samples=4, vocabulary=300).agreement.n == 0
    assert aptitude(NoTeacher(), None, batches, samples=4, vocabulary=300).tokens == 0
