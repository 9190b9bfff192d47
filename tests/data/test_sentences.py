"""Pairs of texts: every text is a sample, counts the same whatever its length, and knows its partner."""

import json

import pytest
import torch

from distill.data.sentences import PARTNERS, SentenceData
from distill.evaluation.retrieved import Retrieved, spearman
from distill.evaluation.subject import Subject
from distill.families import AUTO
from distill.losses.objective import Objective
from distill.losses.sentence_pairs import SentencePairs
from distill.losses.states.pooled import Pooled, Similarity, cosines, pooled
from distill.models import answer, shape
from distill.signals.hidden import Hidden
from distill.students.encoder import Encoder
from distill.types import Moment


@pytest.fixture
def data(tmp_path, tokenizer):
    rows = [{"anchor": f"word {i} " * (1 + i % 3), "positive": f"its meaning is {i * i}"} for i in range(60)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = SentenceData(path=str(path), validation=0.1, test=0.3, batch_size=4, sequence_length=24)
    made.prepare(tokenizer)
    return made


def model(data, seed, width=16):
    torch.manual_seed(seed)
    return Encoder(layers=1, width=width, heads=2).of(data.task).build(data.prepare()).double().eval()


def told(model, batch):
    return answer(model, batch.inputs, batch.positions)


def test_all_tokens_of_a_text_are_its_samples_and_partners_are_mutual(data):
    batch = data.batch(0)
    partners = batch.labels[PARTNERS]
    assert len(batch.samples) == 8
    assert torch.equal(partners[partners], torch.arange(8))
    assert (partners != torch.arange(8)).all()
    assert batch.tokens == int(batch.inputs["attention_mask"].sum())


def test_padding_changes_no_vector(data):
    one, encoder = data.collate([data.rows["train"][0]]), model(data, 0)
    together = data.collate(list(data.rows["train"][:6]))
    alone = pooled(told(encoder, one).hidden, one.owners, 2)
    several = pooled(told(encoder, together).hidden, together.owners, 12)
    torch.testing.assert_close(alone[0], several[0])
    torch.testing.assert_close(alone[1], several[6])


@pytest.mark.parametrize("make", [Pooled, Similarity, SentencePairs])
def test_a_text_counts_the_same_whatever_its_length(data, make):
    batch, student, teacher = data.batch(1), model(data, 1), model(data, 2)
    objective = Objective({"one": make()})
    objective.prepare(shape(student), shape(teacher))
    answered = told(teacher, batch)
    own = told(student, batch)
    weighed = objective(own, Hidden(answered.hidden, answered.head, answered), batch, Moment(0, 1))
    each = objective.losses["one"](own, Hidden(answered.hidden, answered.head, answered), batch)
    first = torch.stack([each[batch.owners == text][0] for text in range(len(batch.samples))])
    rows = data.rows["train"]
    usual = sum(len(row.source) + len(row.target) for row in rows) / (2 * len(rows))
    torch.testing.assert_close(weighed.total.detach(), usual * first.sum().detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [Pooled, Similarity])
def test_a_student_that_is_its_teacher_has_nothing_to_learn(data, make):
    batch, encoder = data.batch(0), model(data, 3)
    own = told(encoder, batch)
    loss = make()
    loss.prepare(shape(encoder), shape(encoder))
    assert loss.per_token(own, own, batch).abs().max() < 1e-12


def test_similarities_do_not_ask_for_equal_widths_and_vectors_are_projected(data):
    batch, small, large = data.batch(0), model(data, 0, 8), model(data, 1, 16)
    own, theirs = told(small, batch), told(large, batch)
    vectors = Pooled()
    vectors.prepare(shape(small), shape(large))
    for loss in (Similarity(), vectors):
        value = loss.per_token(own, theirs, batch)
        assert value.shape == (batch.tokens,)
        assert (value > 0).all()


def test_the_partner_is_found_by_the_loss_of_pairs(data):
    batch = data.batch(0)
    own = told(model(data, 0), batch)
    vectors = pooled(own.hidden, batch.owners, 8)
    scores = (cosines(vectors) / 0.05).detach().fill_diagonal_(float("-inf"))
    expected = -scores.log_softmax(1)[torch.arange(8), batch.labels[PARTNERS]]
    torch.testing.assert_close(SentencePairs()(own, None, batch).detach(), expected[batch.owners])


def test_retrieval_ranks_and_likeness(data):
    teacher, student = model(data, 0), model(data, 1)
    subjects = [Subject("teacher", teacher, data.prepare(), 0), Subject("student", student, data.prepare(), 0)]
    with torch.no_grad():
        found = Retrieved(compared=50, at=3, shown=1).measure(subjects, data)
    rows = {(name, row.metric): row for name, told in found.rows.items() for row in told}
    count = len(data.rows["test"])
    assert rows["teacher", "spearman_to_teacher"].value == pytest.approx(1)
    for name in ("teacher", "student"):
        one, three, mrr = (rows[name, key].value for key in ("recall_at_1", "recall_at_3", "mrr"))
        assert one <= three
        assert one <= mrr <= 1
        assert rows[name, "mrr"].n == count
        assert rows[name, "nats_per_token"].value > 0
    assert {line["subject"] for line in found.samples} == {"teacher", "student"}


def test_spearman_is_one_for_any_rising_curve():
    values = torch.randn(40, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    assert spearman(values, values.exp()) == pytest.approx(1)
    assert spearman(values, -values) == pytest.approx(-1)


def test_a_bare_encoder_is_the_task(data):
    assert AUTO[data.task.family].__name__ == "AutoModel"
