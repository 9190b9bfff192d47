"""Several teachers as one: which of them are heard, how much, and what a training logs of it."""

import dataclasses

import pytest
import torch

from distill.errors import BadInput
from distill.models import answer
from distill.teachers.ensemble import Ensemble
from distill.teachers.live import Live
from distill.teachers.none import NoTeacher
from distill.types import Batch, Request


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_llama, tokenizer) -> dict[str, str]:
    made = {}
    for seed, name in enumerate(("code", "mail"), start=1):
        path = tmp_path_factory.mktemp(name)
        tiny_llama(width=8 * seed, seed=seed).save_pretrained(path)
        tokenizer.save_pretrained(path)
        made[name] = str(path)
    return made


@pytest.fixture
def teachers(folders) -> dict[str, Live]:
    return {name: Live(folder) for name, folder in folders.items()}


@pytest.fixture
def batch() -> Batch:
    ids = torch.arange(2, 26).view(2, 12)
    positions = torch.tensor([0, 5, 13, 14])
    owners = torch.tensor([0, 0, 1, 1])
    named = ("b/mail", "a")
    inputs = {"input_ids": ids}
    return Batch(inputs, inputs, positions, positions, positions + 3, owners, ("x", "y"), domains=named)


def log_p(teacher, batch) -> torch.Tensor:
    signal = teacher.teach(batch, Request())
    rows = slice(0, batch.tokens)
    return signal.pair(signal.chunk(rows), torch.zeros(batch.tokens, teacher.vocabulary), 1.0)[0]


def test_it_is_the_weighed_mean_of_what_each_says(teachers, batch):
    apart = [log_p(one, batch) for one in teachers.values()]
    together = log_p(Ensemble(teachers, weights={"code": 3.0, "mail": 1.0}), batch)
    torch.testing.assert_close(together.exp(), 0.75 * apart[0].exp() + 0.25 * apart[1].exp())
    together = log_p(Ensemble(teachers, mean="logits"), batch)
    torch.testing.assert_close(together, (0.5 * apart[0] + 0.5 * apart[1]).log_softmax(-1))


def test_a_domain_chooses_its_teacher_and_others_hear_the_mean(teachers, batch):
    made = Ensemble(teachers, route="domain", domains={"a": "code"})
    found, code = log_p(made, batch), log_p(teachers["code"], batch)
    torch.testing.assert_close(found[2:], code[2:])
    torch.testing.assert_close(found[:2], log_p(Ensemble(teachers), batch)[:2])


def test_the_likelier_teacher_of_a_sample_is_heard_more(teachers, batch):
    named = [one.log_softmax(-1) for one in (log_p(teachers["code"], batch), log_p(teachers["mail"], batch))]
    rows = torch.arange(batch.tokens)
    summed = torch.stack([one[rows, batch.targets].view(2, 2).sum(-1) for one in named], dim=-1)  # (samples, M)
    weights = summed.softmax(-1)[batch.owners]
    expected = (weights[:, :1] * named[0].exp() + weights[:, 1:] * named[1].exp()).log()
    torch.testing.assert_close(log_p(Ensemble(teachers, route="likeliest"), batch), expected)


def test_it_costs_what_all_of_them_cost_and_is_known_by_all_of_them(teachers, batch, folders):
    made = Ensemble(teachers)
    shape, each = made.shape, [one.shape for one in teachers.values()]
    assert shape is not None
    assert shape.flops_per_token == sum(one.flops_per_token for one in each if one is not None)
    made.teach(batch, Request())
    assert made.passes == 2
    again = Ensemble({name: Live(folder) for name, folder in folders.items()})
    assert made.fingerprint == again.fingerprint
    assert made.fingerprint != Ensemble(teachers, mean="logits").fingerprint
    assert made.fingerprint != Ensemble(teachers, weights={"code": 1.0}).fingerprint
    assert made.fingerprint != Ensemble({"code": teachers["mail"], "mail": teachers["code"]}).fingerprint


def test_what_the_teachers_disagree_on_is_told(teachers, batch):
    made = Ensemble(teachers)
    assert made.account(1.0) == {}
    made.teach(batch, Request())
    apart = [log_p(one, batch) for one in teachers.values()]
    mean = torch.logsumexp(torch.stack(apart), 0) - torch.tensor(2.0).log()
    expected = sum(0.5 * (one.exp() * (one - mean)).sum() for one in apart) / batch.tokens
    assert made.account(1.0)["teachers/disagreement"] == pytest.approx(float(expected), rel=1e-4)


def test_beside_a_student_the_divergence_from_the_teachers_is_told_in_its_two_parts(teachers, batch, tiny_llama):
    made, student = Ensemble(teachers, weights={"code": 3.0, "mail": 1.0}), tiny_llama(seed=9)
    made.teach(batch, Request())
    outputs = answer(student, batch.inputs, batch.positions, Request())
    told = made.account(2.0, outputs)
    log_q = (outputs.head.logits(outputs.hidden) / 2.0).log_softmax(-1)
    each = []
    for one in teachers.values():
        signal = one.teach(batch, Request())
        log_p, _ = signal.pair(signal.chunk(slice(0, batch.tokens)), outputs.head.logits(outputs.hidden), 2.0)
        each.append(4.0 * (log_p.exp() * (log_p - log_q)).sum().item() / batch.tokens)
    assert told["teachers/mean_kl"] == pytest.approx(0.75 * each[0] + 0.25 * each[1], rel=1e-4)
    assert told["teachers/mean_kl"] == pytest.approx(
        told["teachers/kl_of_mean"] + told["teachers/disagreement"], rel=1e-4
    )
    assert told["teachers/disagreement"] == pytest.approx(made.account(2.0)["teachers/disagreement"], rel=1e-6)


def test_one_teacher_twice_is_that_teacher(teachers, batch):
    made = Ensemble({"one": teachers["code"], "other": teachers["code"]}, route="likeliest")
    torch.testing.assert_close(log_p(made, batch), log_p(teachers["code"], batch))


def test_a_changed_batch_has_its_own_domains(teachers, batch):
    made = Ensemble(teachers, route="domain", domains={"a": "code", "b/mail": "mail"})
    swapped = dataclasses.replace(batch, domains=batch.domains[::-1])
    assert not torch.equal(log_p(made, batch), log_p(made, swapped))


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"weights": {"nobody": 1.0}}, "teacher.weights"),
        ({"weights": {"code": 0.0}}, "teacher.weights"),
        ({"domains": {"a": "nobody"}, "route": "domain"}, "teacher.domains"),
    ],
)
def test_names_that_are_nobodys_are_refused(teachers, given, place):
    with pytest.raises(BadInput) as caught:
        Ensemble(teachers, **given)
    assert caught.value.place == place


def test_a_teacher_that_does_not_speak_of_all_tokens_is_refused(teachers):
    with pytest.raises(BadInput, match=r"teachers\.silent"):
        Ensemble({**teachers, "silent": NoTeacher()})
