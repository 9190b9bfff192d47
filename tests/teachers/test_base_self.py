"""A LoRA student without its adapters is its base, whatever the adapters have learned (I26)."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from distill.errors import BadInput
from distill.models import answer
from distill.students.lora import Lora
from distill.teachers.base_self import BaseSelf, without_adapters
from distill.types import Batch, Moment, Request

IDS = torch.arange(1, 25).view(2, 12)
PLACES = torch.arange(24).view(2, 12)[:, :-1].flatten()


@pytest.fixture
def student(tmp_path, tiny_llama, tokenizer):
    tiny_llama(layers=2, width=32).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    made = Lora(str(tmp_path / "base"), rank=4, dropout=0.5).build(tokenizer)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(1))
    return made, AutoModelForCausalLM.from_pretrained(tmp_path / "base")


def batch() -> Batch:
    inputs, owners = {"input_ids": IDS}, torch.arange(2).repeat_interleave(11)
    return Batch(inputs, inputs, PLACES, PLACES, IDS[:, 1:].flatten(), owners, ("a", "b"))


def test_the_teacher_is_the_base_and_the_student_goes_on_as_it_was(student):
    model, base = student
    teacher = BaseSelf()
    teacher.meet(model)
    outputs = answer(model, {"input_ids": IDS}, PLACES)  # a step: the student first, then the teacher, then backward
    told = teacher.teach(batch(), Request())
    expected = answer(base.eval(), {"input_ids": IDS}, PLACES)
    assert torch.equal(told.outputs.hidden, expected.hidden)
    assert not torch.allclose(outputs.hidden, expected.hidden)
    outputs.hidden.square().sum().backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "lora_A" in name)
    assert model.training  # its dropout is still on
    assert all(module.training for module in model.modules())


def test_no_weight_is_held_twice(student):
    teacher = BaseSelf()
    teacher.meet(student[0])
    assert teacher.copy is student[0]
    teacher.follow(student[0], Moment(0, 1))
    assert teacher.passes == 0


def test_adapters_are_on_again_after_a_failure(student):
    model, _ = student
    model.eval()
    with torch.no_grad():
        before = model(IDS).logits
        with pytest.raises(RuntimeError), without_adapters(model):
            raise RuntimeError
        assert torch.equal(model(IDS).logits, before)


def test_a_student_without_adapters_is_refused(tiny_llama):
    with pytest.raises(BadInput, match="it has none"):
        BaseSelf().meet(tiny_llama())
