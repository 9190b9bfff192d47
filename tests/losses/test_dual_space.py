"""Dual spaces: three terms as written, projections that learn and are no part of the student."""

from dataclasses import replace

import pytest
import torch

from distill.alignment.byte_spans import ByteSpans
from distill.errors import BadInput
from distill.losses.objective import Objective
from distill.models import answer, shape
from distill.signals.dense import Dense
from distill.signals.hidden import Hidden
from distill.types import Head, ModelShape, Outputs
from tests.alignment.pairs import paired, prepared
from tests.losses.naive_pass import NOW, Scene, close, composed, gradients

WIDTH = 6


def sizes(width):
    return ModelShape(layers=1, width=width, heads=1, vocabulary=13, parameters=0, embedding_parameters=0)


@pytest.fixture
def scene():
    return Scene(tokens=30)


@pytest.fixture
def teacher(scene):
    generator = torch.Generator().manual_seed(3)
    hidden, weight = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in ((30, WIDTH), (17, WIDTH)))
    told = Outputs(hidden, Head(weight))
    return Hidden(hidden, told.head, told)


def made(*overrides):
    torch.manual_seed(0)
    loss = composed("loss", "dual_space", overrides)
    loss.prepare(sizes(5), sizes(WIDTH))
    return loss.double()


@pytest.mark.parametrize("only_correct", [True, False])
def test_its_three_terms_by_hand(scene, teacher, only_correct):
    loss = made(f"loss.only_correct={only_correct}")
    total = loss(scene.outputs, teacher, scene.batch).sum()
    own, fixed = scene.weight, scene.weight.detach()
    projected = loss.to_student(teacher.hidden)
    inside = (projected @ fixed.T).log_softmax(-1)
    right = inside.argmax(-1) == scene.batch.targets if only_correct else torch.ones(30, dtype=torch.bool)
    assert right.any()
    p, q = inside.detach(), (scene.hidden @ own.T).log_softmax(-1)
    there, back = teacher.head.logits(teacher.hidden).log_softmax(-1), loss.to_teacher(scene.hidden)
    back = (back @ teacher.head.weight.T).log_softmax(-1)
    expected = (p.exp() * (p - q)).sum(-1)[right].sum()
    expected = expected - inside.gather(1, scene.batch.targets[:, None]).sum()
    expected = expected + (there.exp() * (there - back)).sum()
    torch.testing.assert_close(total, expected)
    leaves = [*scene.leaves, *loss.parameters()]
    close(gradients(total, leaves), gradients(expected, leaves))


def test_projections_are_the_objectives_and_learn(scene, teacher):
    objective = composed("objective", "dual_space")
    objective.prepare(sizes(5), sizes(WIDTH))
    objective.double()
    assert len(list(objective.parameters())) == 2
    assert len(objective.state_dict()) == 2
    objective(scene.outputs, teacher, scene.batch, NOW).total.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in objective.parameters())


def test_a_teacher_without_states_is_refused(scene):
    with pytest.raises(BadInput, match="no states"):
        made()(scene.outputs, Dense(scene.teacher), scene.batch)


def test_a_teacher_of_other_tokens_stands_where_both_have_read_the_same(tmp_path, tokenizer, tiny_llama):
    letters = paired_tokenizer()
    batch = paired(tmp_path / "d", tokenizer, letters).batch(0)
    student, other = tiny_llama(len(tokenizer)), tiny_llama(len(letters), width=24, seed=1)
    told = answer(other, batch.teacher_inputs, batch.teacher_positions)
    told = Outputs(told.hidden.detach(), told.head)
    signal = prepared(ByteSpans(), tokenizer, letters).align(Hidden(told.hidden, told.head, told), batch)
    objective = Objective({"kd": composed("loss", "dual_space")})
    objective.prepare(shape(student), shape(other))
    outputs = answer(student, batch.inputs, batch.positions)
    weighed = objective(outputs, signal, batch, NOW)
    groups = signal.spanned
    first = Outputs(outputs.hidden[groups.first], outputs.head)
    there = Outputs(told.hidden[groups.teacher_first], told.head)
    alone = replace(batch, targets=batch.targets[groups.first], spans=None)
    expected = objective(first, Hidden(there.hidden, there.head, there), alone, NOW)
    torch.testing.assert_close(weighed.total, expected.total)
    weighed.total.backward()
    assert student.model.layers[0].mlp.up_proj.weight.grad.abs().sum() > 0


def paired_tokenizer():
    from distill.data.tokenizer import TrainedBPE

    return TrainedBPE(257).build(["a text"], "none")
