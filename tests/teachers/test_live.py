"""A live teacher says what its model says, never changes, and is asked once a batch."""

import pytest
import torch
from torch import nn

from distill.errors import BadInput
from distill.folders import load_causal_lm
from distill.teachers.live import Live
from distill.teachers.none import NoTeacher
from distill.types import Batch, Request


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_llama, tokenizer) -> str:
    """A teacher with dropout in its config and 20 rows more than its tokenizer has ids."""
    path = tmp_path_factory.mktemp("teacher")
    tiny_llama(vocabulary=320, width=24, dropout=0.5).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture
def batch() -> Batch:
    ids = torch.arange(2, 26).view(2, 12)
    positions = torch.tensor([0, 5, 13])
    owners = torch.tensor([0, 0, 1])
    return Batch({"input_ids": ids}, {"input_ids": ids}, positions, positions, positions + 3, owners, ("a", "b"))


def log_p(teacher: Live, batch: Batch) -> torch.Tensor:
    signal = teacher.teach(batch, Request())
    assert signal is not None
    return signal.pair(signal.chunk(slice(0, 3)), torch.zeros(3, teacher.vocabulary), 1.0)[0]


def test_it_says_what_its_model_says_on_the_shared_ids(folder, batch):
    teacher = Live(folder)
    assert teacher.vocabulary == 300
    logits = load_causal_lm(folder)(batch.inputs["input_ids"]).logits.flatten(0, 1)[batch.positions, :300]
    torch.testing.assert_close(log_p(teacher, batch), logits.log_softmax(-1))


def test_its_text_may_differ_from_the_students(folder, batch):
    teacher = Live(folder)
    other = Batch(
        {"input_ids": torch.zeros(1, 1, dtype=torch.long)},
        batch.teacher_inputs,
        torch.zeros(3, dtype=torch.long),
        batch.teacher_positions,
        batch.targets,
        batch.owners,
        batch.samples,
    )
    assert torch.equal(log_p(teacher, other), log_p(teacher, batch))


def test_it_has_no_gradient_no_dropout_and_no_place_in_a_module(folder, batch):
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.teacher = Live(folder)

    holder = Holder()
    holder.train()
    assert not list(holder.parameters())
    assert not holder.state_dict()
    assert not holder.teacher.model.training
    assert not any(parameter.requires_grad for parameter in holder.teacher.model.parameters())
    said = log_p(holder.teacher, batch)
    assert torch.equal(said, log_p(holder.teacher, batch))
    assert not said.requires_grad
    assert not said.is_inference()


def test_it_counts_its_passes_and_knows_its_sizes(folder, batch):
    teacher = Live(folder)
    for _ in range(3):
        teacher.teach(batch, Request())
    assert teacher.passes == 3
    assert teacher.shape is not None
    assert (teacher.shape.layers, teacher.shape.width, teacher.shape.vocabulary) == (2, 24, 320)


def test_it_provides_at_least_what_its_signal_provides(folder, batch):
    teacher = Live(folder)
    signal = teacher.teach(batch, Request())
    assert signal is not None
    assert teacher.provides >= signal.provides


def test_without_a_path_it_is_refused():
    with pytest.raises(BadInput, match=r"teacher\.path"):
        Live(recipe={"steps": 1})


def test_no_teacher_says_nothing(batch):
    teacher = NoTeacher()
    assert teacher.teach(batch, Request()) is None
    assert teacher.provides == frozenset()
    assert teacher.to(torch.device("cpu")) is teacher
