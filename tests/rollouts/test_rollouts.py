"""Who writes when: mixtures, buffers, privileged context, pairs; and what is told of it."""

import pytest
import torch

from distill.divergences.kl import forward_kl, reverse_kl
from distill.errors import BadInput
from distill.losses.divergence import Divergence
from distill.losses.objective import Objective
from distill.models import answer
from distill.rollouts.buffer import Buffer
from distill.rollouts.data import Data
from distill.rollouts.language import Language
from distill.rollouts.meter import repeated, visited
from distill.rollouts.mixture import Mixture
from distill.rollouts.pairs import Pairs
from distill.rollouts.privileged import Privileged
from distill.rollouts.prompts import begun
from distill.rollouts.replay import Replay
from distill.rollouts.student import Student
from distill.rollouts.teacher import Teacher
from distill.rollouts.text import DATA, STUDENT, TEACHER
from distill.signals.hidden import Hidden
from distill.types import Moment
from tests.rollouts.conftest import NOW, answers, packed


def rolled(rollout, student, seed=1, moment=NOW, batch=None):
    torch.manual_seed(seed)
    return rollout.roll(packed() if batch is None else batch, student, moment)


def writers(batch):
    return set(batch.labels["writers"].tolist())


def mixture(**keys):
    return Mixture(Student(4, 8), Data(4), **keys)


def test_data_with_a_prompt_is_the_rest_of_the_same_text():
    batch = packed()
    assert Data().roll(batch, None, NOW) is batch  # type: ignore[arg-type]
    cut = Data(4).roll(batch, None, NOW)  # type: ignore[arg-type]
    assert cut.tokens == batch.tokens - 3 * len(batch.samples)


def test_i21_mixtures_of_all_or_nothing(models, met):
    student = models[0]
    own = rolled(met(Student(4, 8)), student)
    assert torch.equal(rolled(met(mixture(fraction=1.0)), student).targets, own.targets)
    assert torch.equal(rolled(met(mixture(fraction=0.0)), student).targets, rolled(met(Data(4)), student).targets)
    taught = met(Mixture(Student(4, 8), Teacher(4, 8), fraction=0.0))
    assert torch.equal(rolled(taught, student).targets, rolled(met(Teacher(4, 8)), student).targets)
    assert writers(rolled(taught, student)) == {TEACHER}


def test_a_mixture_follows_its_fraction_and_its_schedule(models, met):
    half = met(mixture(fraction=0.5))
    told = [writers(rolled(half, models[0], seed)) for seed in range(40)]
    assert 10 <= told.count({STUDENT}) <= 30
    assert told.count({STUDENT}) + told.count({DATA}) == 40
    rising = met(mixture(fraction=0.0, until=1.0))
    assert all(writers(rolled(rising, models[0], s, Moment(0, 10))) == {DATA} for s in range(5))
    assert all(writers(rolled(rising, models[0], s, Moment(9, 10))) == {STUDENT} for s in range(5))
    assert rising.account()["rollout/share"] == 1.0


def test_writing_is_counted_and_priced(models, met):
    half = met(mixture(fraction=0.5))
    tokens = 0
    for seed in range(6):
        batch = rolled(half, models[0], seed)
        tokens += batch.tokens if writers(batch) == {STUDENT} else 0
    assert half.written == tokens > 0
    assert half.cost(10.0, 100.0) == 5.0
    assert Teacher().cost(10.0, 100.0) == 100.0
    assert Pairs().cost(10.0, 100.0) == 55.0
    assert Data().cost(10.0, 100.0) == 0.0


# ------------------------------------------------------------------------------------------------------------- replay


def replay(**keys):
    return Replay(Student(4, 8), Data(4), **keys)


def test_the_share_grows_only_when_validation_does_not_fall():
    rollout = replay(rise=0.25, tolerance=0.1)
    shares = []
    for value in (3.0, 2.5, 2.55, 2.7, 2.9, 3.5, 4.0):
        rollout.hear(value)
        shares.append(rollout.share)
    assert shares == [0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0]


def test_i21_all_of_the_share_at_the_beginning_is_the_students_own(models, met):
    own = rolled(met(Student(4, 8)), models[0])
    assert torch.equal(rolled(met(replay(start=1.0, capacity=6)), models[0]).targets, own.targets)


def test_at_the_end_text_comes_from_the_buffer(models, met):
    rollout = met(replay(start=1.0, capacity=6))
    first = rolled(rollout, models[0], 1)
    written = rollout.written
    again = [rolled(rollout, models[0], seed, Moment(10, 10)) for seed in range(4)]
    assert rollout.written == written
    for batch in again:
        assert sorted(batch.samples) == sorted(first.samples)
    assert rollout.account()["rollout/replayed"] == 1.0


def test_a_buffer_forgets_the_oldest_and_comes_back_from_a_checkpoint(models, met):
    source, buffer = met(Student(4, 8)), Buffer(8)
    for seed in range(3):
        torch.manual_seed(seed)
        buffer.add(source.texts(packed(), models[0]))
    assert len(buffer.texts) == 8
    back = Buffer(8)
    back.restore(buffer.state())
    for one, other in zip(buffer.texts, back.texts, strict=True):
        assert torch.equal(one.tokens, other.tokens)
        assert torch.equal(one.behaviour, other.behaviour)
        assert other.told is other.prompt
        assert (one.writer, one.domain, one.ended) == (other.writer, other.domain, other.ended)
        assert one.weight == other.weight
    drawn = [buffer.draw(5, torch.Generator().manual_seed(4)), back.draw(5, torch.Generator().manual_seed(4))]
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(*drawn, strict=True))
    assert len(back.draw(20, torch.Generator().manual_seed(0))) == 20


def test_a_buffer_needs_somebody_who_writes():
    with pytest.raises(BadInput, match="writes nothing"):
        Replay(Data(), Data())


# --------------------------------------------------------------------------------------------------------- privileged


def words(text):
    return [ord(c) % 100 + 100 for c in text]


def test_the_teacher_reads_the_answer_first_and_the_student_does_not(models):
    batch, told = answers(), begun(answers(), 8)
    rollout = Privileged(8, 6, context="answer", before="a", between="b")
    rollout.meet(Language(frozenset({0}), encode=words), lambda: None)
    new = rolled(rollout, models[0], batch=batch)
    rows = new.teacher_inputs["input_ids"]
    for b, text in enumerate(told):
        expected = [*words("a"), *text.tokens.tolist(), *words("b"), *text.prompt.tolist()]
        assert rows[b, : len(expected)].tolist() == expected
        assert new.inputs["input_ids"][b, : len(text.prompt)].tolist() == text.prompt.tolist()
    shown = rows.flatten()[new.teacher_positions]
    assert torch.equal(shown, new.inputs["input_ids"].flatten()[new.positions])


def test_i22_without_a_context_a_live_copy_has_nothing_to_teach(models, met):
    student = models[0].eval()
    batch = rolled(met(Privileged(4, 8, context="none")), student)
    own = answer(student, batch.inputs, batch.positions)
    with torch.no_grad():
        told = answer(student, batch.teacher_inputs, batch.teacher_positions)
    weighed = Objective({"kd": Divergence(reverse_kl)})(own, Hidden(told.hidden, told.head), batch, NOW)
    assert weighed.total.item() == pytest.approx(0.0, abs=1e-5)
    weighed.total.backward()
    assert max(p.grad.abs().max().item() for p in student.parameters() if p.grad is not None) < 1e-5


# -------------------------------------------------------------------------------------------------------------- pairs


def test_pairs_answer_every_prompt_twice(models, met):
    batch = packed()
    new = rolled(met(Pairs(4, 8)), models[0])
    assert len(new.samples) == 2 * len(batch.samples)
    half = len(batch.samples)
    assert set(new.labels["writers"][new.owners < half].tolist()) == {TEACHER}
    assert set(new.labels["writers"][new.owners >= half].tolist()) == {STUDENT}
    ids = new.inputs["input_ids"]
    assert torch.equal(ids[:half, :3], ids[half:, :3])
    assert new.domains == batch.domains * 2


# ---------------------------------------------------------------------------------------------------------- the meter


def test_repetition_is_the_share_of_grams_seen_before():
    assert repeated([torch.tensor([1, 2, 3, 4, 1, 2, 3, 4])]) == pytest.approx(1 / 5)
    assert repeated([torch.tensor([7] * 9), torch.arange(9), torch.tensor([1])]) == pytest.approx((5 / 6) / 3)


def test_visited_states_are_those_of_the_students_own_text(models, met):
    student, teacher = models[0].eval(), models[1]
    batch = rolled(met(Pairs(4, 8)), student)
    with torch.no_grad():
        own, told = (answer(model, batch.inputs, batch.positions) for model in (student, teacher))
    found = visited(own, Hidden(told.hidden, told.head), batch)
    mine = batch.labels["writers"] == STUDENT
    log_p, log_q = (x.head.logits(x.hidden).log_softmax(-1)[mine] for x in (told, own))
    assert found["rollout/kl_visited"] == pytest.approx(forward_kl(log_p, log_q).mean().item(), rel=1e-5)
    assert found["rollout/reverse_kl_visited"] == pytest.approx(reverse_kl(log_p, log_q).mean().item(), rel=1e-5)
    assert visited(own, None, batch) == {}
    assert visited(own, Hidden(told.hidden, told.head), packed()) == {}


def test_the_language_of_a_tokenizer_knows_its_ends(tokenizer):
    from transformers import GenerationConfig

    told = Language.of(tokenizer, 300, GenerationConfig(eos_token_id=[0, 42]))
    assert told.ends == {0, 42}
    assert told.banned == frozenset()
    assert list(told.encode("The fox")) == tokenizer("The fox")["input_ids"]


def test_by_text_every_text_counts_alike(models, met):
    student = models[0].eval()
    even = rolled(met(mixture(fraction=0.0, by_text=True)), student)
    values = torch.arange(even.tokens, dtype=torch.float32)
    assert even.weights is not None
    means = [values[even.owners == owner].mean() for owner in range(len(even.samples))]
    assert len({len(values[even.owners == owner]) for owner in range(len(even.samples))}) > 1
    assert torch.allclose((even.weights * values).sum() / even.tokens, torch.stack(means).mean())
