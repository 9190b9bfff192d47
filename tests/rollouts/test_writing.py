"""What is written: the model's own distribution, whatever stands beside it, with cache and padding."""

import pytest
import torch

from distill.errors import BadInput
from distill.models import answer, evaluating
from distill.rollouts.blended import Blended as BlendedRollout
from distill.rollouts.choices import Blended, Own, Speculative, drawn
from distill.rollouts.language import Language
from distill.rollouts.pen import Pen
from distill.rollouts.speculative import Speculative as SpeculativeRollout
from distill.rollouts.student import Student
from distill.rollouts.teacher import Teacher
from distill.rollouts.text import NOBODY
from distill.rollouts.writing import room, write
from tests.rollouts.conftest import END, NOW, answers, packed


def prompts(count=5, seed=2):
    chance = torch.Generator().manual_seed(seed)
    return [torch.randint(1, 300, (n,), generator=chance) for n in range(3, 3 + count)]


def uniform(count, length, seed=4):
    return torch.rand(count, length, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sides(batch=64, vocabulary=9, seed=6):
    chance = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, vocabulary, generator=chance).log_softmax(-1) for _ in range(2)]


def test_the_likeliest_tokens_are_those_of_generate(models, language):
    teacher = models[1]
    given = prompts()
    with torch.no_grad():
        draft = write([Pen(teacher, given, 12, language)], Own(temperature=0.0), uniform(5, 12), language)
        for prompt, row, n in zip(given, draft.tokens, draft.lengths.tolist(), strict=True):
            told = teacher.generate(
                prompt[None], attention_mask=torch.ones(1, len(prompt)), max_new_tokens=12, do_sample=False
            )
            assert row[:n].tolist() == told[0, len(prompt) :].tolist()


def test_a_row_is_written_as_if_it_were_alone(models):
    """Whoever else writes, however long their prompts, and whenever they end and are laid down."""
    teacher, given, chance = models[1], prompts(6), uniform(6, 40)
    often = Language(frozenset(range(20)), padding=0)
    with torch.no_grad():
        together = write([Pen(teacher, given, 40, often)], Own(), chance, often)
        assert together.ended.sum() >= 4  # rows were laid down on the way
        for b, prompt in enumerate(given):
            alone = write([Pen(teacher, [prompt], 40, often)], Own(), chance[b : b + 1], often)
            n = int(together.lengths[b])
            assert n == int(alone.lengths[0])
            assert torch.equal(alone.tokens[0, :n], together.tokens[b, :n])
            assert torch.allclose(alone.behaviour[0, :n], together.behaviour[b, :n], atol=1e-5)


@pytest.mark.parametrize("batch", [packed(), answers()], ids=["packed", "answers"])
def test_what_it_was_drawn_with_is_what_the_model_says_of_it(models, met, batch):
    student = models[0]
    rolled = met(Student(4, 10)).roll(batch, student, NOW)
    with torch.no_grad(), evaluating(student):
        told = answer(student, rolled.inputs, rolled.positions)
    log_q = told.head.logits(told.hidden).log_softmax(-1).gather(1, rolled.targets[:, None])[:, 0]
    assert torch.allclose(rolled.labels["behaviour"], log_q, atol=1e-5)
    assert len(rolled.samples) == len(batch.samples)


def test_an_end_is_written_once_learnt_and_the_last(models, met, language):
    often = Language(frozenset(range(60)), padding=END)
    rollout = Student(4, 30)
    rollout.meet(often, lambda: None)
    batch = rollout.roll(packed(), models[0], NOW)
    last = torch.ones(batch.tokens, dtype=torch.bool)
    last[:-1] = batch.owners[1:] != batch.owners[:-1]
    assert not (batch.targets[~last] < 60).any()
    ended = (batch.targets[last] < 60).double().mean().item()
    assert ended > 0.5
    assert rollout.account()["rollout/ended"] == pytest.approx(ended)
    assert rollout.written == batch.tokens


def test_banned_and_unknown_ids_are_never_written(models):
    only = Language(frozenset(), frozenset(range(150)), 0, None, 200)
    rollout = Student(4, 12)
    rollout.meet(only, lambda: None)
    targets = rollout.roll(packed(), models[0], NOW).targets
    assert ((targets >= 150) & (targets < 200)).all()
    assert rollout.account()["rollout/ended"] == 0


def test_the_student_gets_its_modes_back_and_the_dropout_that_it_would_have_had(models, met):
    student = models[0]
    student.model.layers[1].eval()
    modes = {name: module.training for name, module in student.named_modules()}
    torch.manual_seed(9)
    before = torch.get_rng_state()
    met(Student(4, 6)).roll(packed(), student, NOW)
    assert torch.equal(torch.get_rng_state(), before)
    assert {name: module.training for name, module in student.named_modules()} == modes


def test_the_same_seed_writes_the_same_and_another_does_not(models, met):
    def once(seed):
        torch.manual_seed(seed)
        return met(Student(4, 12)).roll(packed(), models[0], NOW).targets

    assert torch.equal(once(3), once(3))
    assert not torch.equal(once(3)[:10], once(4)[:10])


def test_no_more_is_written_than_there_are_positions(models):
    assert room([models[0]], [[torch.zeros(100)]], 48) == 28
    with pytest.raises(BadInput, match="no room"):
        room([models[0]], [[torch.zeros(128)]], 48)


# ------------------------------------------------------------------------------------------------------- the choices


def test_draws_have_the_models_frequencies():
    (log_q, _), count = sides(1), 20_000
    grid = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    found = torch.bincount(drawn(log_q.expand(count, -1), grid), minlength=9) / count
    assert torch.allclose(found.float(), log_q.exp()[0], atol=2 / count)


@pytest.mark.parametrize("choice", [Own(), Own(0.7, 0.8), Blended(0.3), Speculative(3)], ids=str)
def test_the_probability_told_is_the_frequency_of_drawing(choice):
    """Over a grid of both uniform numbers."""
    log_q, log_p = sides(1)
    n = 300
    axis = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    grid = torch.cartesian_prod(axis, axis)
    token, behaviour, _ = choice([log_q.expand(n * n, -1), log_p.expand(n * n, -1)], grid)
    found = torch.bincount(token, minlength=9) / (n * n)
    for t in token.unique().tolist():
        told = behaviour[token == t]
        assert told.min() == told.max()
        assert told[0].exp().item() == pytest.approx(found[t].item(), abs=2.5 / n)


def test_i21_the_ends_of_blended_and_speculative_are_one_models_own():
    both, chance = sides(), uniform(64, 1)[:, 0]
    own, theirs = Own()(both, chance), Own()(both[::-1], chance)
    assert torch.equal(Blended(0.0)(both, chance)[0], own[0])
    assert torch.equal(Blended(1.0)(both, chance)[0], theirs[0])
    assert torch.equal(Speculative(9)(both, chance)[0], own[0])
    assert torch.allclose(Speculative(9)(both, chance)[1], own[1], atol=1e-6)
    none = Speculative(0)(both, chance)
    assert torch.equal(none[0], drawn(both[1], chance[:, 1]))
    assert torch.allclose(none[1], both[1].gather(1, none[0][:, None])[:, 0], atol=1e-6)
    assert not none[2].any()


def test_i21_through_models(models, met):
    student = models[0]
    torch.manual_seed(1)
    own = met(Student(4, 10)).roll(packed(), student, NOW)
    for rollout in (BlendedRollout(4, 10, 0.0), SpeculativeRollout(4, 10, 300)):
        assert torch.equal(met(rollout).roll(packed(), student, NOW).targets, own.targets)
    accepted = met(SpeculativeRollout(4, 10, 20))
    rolled = accepted.roll(packed(), student, NOW)
    assert 0 < accepted.account()["rollout/own"] < 1
    assert (rolled.labels["behaviour"] < NOBODY).all()


def test_a_teacher_that_is_no_model_cannot_write(models, language):
    rollout = Teacher(4, 8)
    rollout.meet(language, lambda: None)
    with pytest.raises(BadInput, match="no model here"):
        rollout.roll(packed(), models[0], NOW)


def test_the_entropy_told_is_the_writers(models, language):
    with torch.no_grad():
        pen = Pen(models[1], prompts(), 4, Language(frozenset(), frozenset({3, 9})))
        first = pen.next()
        draft = write(
            [Pen(models[1], prompts(), 4, Language(frozenset(), frozenset({3, 9})))], Own(), uniform(5, 4), language
        )
    assert torch.allclose(draft.entropy[:, 0], torch.special.entr(first.exp()).sum(-1), atol=1e-4)
