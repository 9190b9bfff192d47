"""Self-distillation: I22 (nothing to learn from oneself as one is) and I26 (the ends of the moving average)."""

import pytest
import torch

from distill.data.encode import Marks
from distill.divergences.kl import forward_kl
from distill.errors import BadInput
from distill.losses.divergence import Divergence
from distill.losses.objective import Objective
from distill.models import answer
from distill.teachers.ema_self import EmaSelf
from distill.teachers.frozen_self import FrozenSelf
from distill.teachers.prompt import prompted
from distill.types import Batch, Moment, Request
from tests.training.conftest import batch

LATER = Moment(1, 10)


def moved(student, by: float = 0.05):
    """Trained a little."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += by * torch.randn(parameter.shape, generator=generator)


def states(teacher) -> list[torch.Tensor]:
    return list(teacher.copy.parameters())


@pytest.mark.parametrize("made", [EmaSelf(decay=0.0), EmaSelf(decay=0.0, prompt="")])
def test_without_context_and_up_to_date_there_is_nothing_to_learn(tiny_llama, tokenizer, made):
    """I22, to rounding, at any weights."""
    student = tiny_llama(width=8)
    made.read_with(tokenizer)
    made.meet(student)
    moved(student)
    made.follow(student, LATER)
    given = batch(0)
    outputs = answer(student, given.inputs, given.positions)
    objective = Objective({"kd": Divergence(forward_kl)})
    weighed = objective(outputs, made.teach(given, Request()), given, LATER)
    assert weighed.total.item() == pytest.approx(0.0, abs=1e-4)
    weighed.total.backward()
    assert all(p.grad is None or p.grad.abs().max() < 1e-5 for p in student.parameters())


def test_a_decay_of_zero_is_the_student_and_of_one_its_beginning(tiny_llama):
    student = tiny_llama(width=8)
    live, frozen, average, begun = EmaSelf(0.0), EmaSelf(1.0), EmaSelf(0.75), FrozenSelf()
    for teacher in (live, frozen, average, begun):
        teacher.meet(student)
    before = [p.detach().clone() for p in student.parameters()]
    moved(student)
    for teacher in (live, frozen, average, begun):
        teacher.follow(student, LATER)
    assert all(map(torch.equal, states(live), student.parameters()))
    assert all(map(torch.equal, states(frozen), before))
    assert all(map(torch.equal, states(begun), before))
    for own, old, new in zip(states(average), before, student.parameters(), strict=True):
        torch.testing.assert_close(own, 0.75 * old + 0.25 * new)


def test_the_average_moves_once_a_step(tiny_llama):
    student = tiny_llama(width=8)
    teacher = EmaSelf(0.5)
    teacher.meet(student)
    moved(student)
    for _ in range(3):  # micro-steps
        teacher.follow(student, LATER)
    once = [p.clone() for p in states(teacher)]
    teacher.follow(student, Moment(2, 10))
    assert not all(map(torch.equal, states(teacher), once))


def test_it_is_a_copy_without_dropout_gradient_or_ties_to_the_student(tiny_llama):
    student = tiny_llama(width=8, dropout=0.5).train()
    teacher = FrozenSelf()
    teacher.meet(student)
    assert not teacher.copy.training
    assert not any(parameter.requires_grad for parameter in teacher.copy.parameters())
    assert not {p.data_ptr() for p in teacher.copy.parameters()} & {p.data_ptr() for p in student.parameters()}
    assert student.training


def test_its_state_is_all_it_needs(tiny_llama):
    student = tiny_llama(width=8)
    teacher, other = EmaSelf(0.9), EmaSelf(0.9)
    teacher.meet(student)
    moved(student)
    teacher.follow(student, LATER)
    other.meet(tiny_llama(width=8))
    other.restore(teacher.state())
    assert all(map(torch.equal, states(teacher), states(other)))
    moved(student)
    other.follow(student, LATER)  # this step is done already
    assert all(map(torch.equal, states(teacher), states(other)))


def test_before_a_training_it_has_nothing_to_say():
    with pytest.raises(BadInput, match="none has begun"):
        EmaSelf().teach(batch(0), Request())


# --------------------------------------------------------------------------------------------------- behind a prompt


@pytest.fixture
def packed() -> Batch:
    """Two pieces in one row, the first beginning with the mark (id 0), and padding."""
    ids = torch.tensor([[0, 11, 12, 13, 21, 22, 23, 0]])
    places = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 0]])
    positions = torch.tensor([0, 1, 2, 3, 5, 6])
    inputs = {"input_ids": ids, "position_ids": places}
    owners = torch.tensor([0, 0, 0, 0, 1, 1])
    return Batch(inputs, inputs, positions, positions, positions, owners, ("a", "b"))


def test_each_sample_stands_behind_mark_and_prompt(packed):
    shown = prompted(packed, [7, 8], 0)
    assert shown.teacher_inputs["input_ids"].tolist() == [[0, 7, 8, 11, 12, 13], [0, 7, 8, 21, 22, 23]]
    assert shown.teacher_inputs["attention_mask"].tolist() == [[1] * 6, [1] * 6]
    flat = shown.teacher_inputs["input_ids"].flatten()
    assert flat[shown.teacher_positions].tolist() == [8, 11, 12, 13, 22, 23]
    assert shown.inputs is packed.inputs
    assert torch.equal(shown.positions, packed.positions)


def test_without_a_mark_the_text_follows_the_prompt(packed):
    shown = prompted(packed, [7], None)
    assert shown.teacher_inputs["input_ids"].tolist() == [[7, 0, 11, 12, 13], [7, 21, 22, 23, 0]]
    assert shown.teacher_inputs["attention_mask"].tolist() == [[1] * 5, [1, 1, 1, 1, 0]]


def test_an_empty_prompt_changes_nothing(packed):
    assert prompted(packed, [], 0) is packed


def test_the_prompted_teacher_says_what_the_student_would_say_behind_it(tiny_llama, tokenizer, packed):
    student = tiny_llama(width=8).eval()
    teacher = FrozenSelf(prompt="The quick fox")
    teacher.read_with(tokenizer)
    teacher.meet(student)
    signal = teacher.teach(packed, Request())
    context = tokenizer("The quick fox")["input_ids"]
    assert Marks.of(tokenizer).begin == 0
    expected = student(input_ids=torch.tensor([[0, *context, 11, 12, 13]]), use_cache=False).logits[0]
    (found,) = signal.chunk(slice(0, 4))
    torch.testing.assert_close(found, expected[len(context) :].detach())


def test_a_prompt_that_leaves_no_positions_is_refused(tiny_llama, tokenizer, packed):
    teacher = FrozenSelf(prompt="fox " * 200)
    teacher.read_with(tokenizer)
    teacher.meet(tiny_llama(width=8))
    with pytest.raises(BadInput, match=r"teacher\.prompt.*128 positions"):
        teacher.teach(packed, Request())
