"""Measures by place and by kind of token are the measures of the whole, taken apart."""

import pytest
import torch

from distill.evaluation.agreement import Agreement
from distill.evaluation.by_kind import KINDS, ByKind, kind
from distill.evaluation.by_place import ByPlace
from distill.evaluation.evaluation import Evaluation, within
from distill.evaluation.likelihood import Likelihood
from distill.evaluation.resemblance import Resemblance


def test_places_are_counted_within_a_sample():
    assert within(torch.tensor([0, 0, 0, 1, 2, 2])).tolist() == [0, 1, 2, 0, 0, 1]
    assert within(torch.tensor([], dtype=torch.long)).tolist() == []


@pytest.mark.parametrize(
    ("text", "name"),
    [(" fox", "word"), ("fox", "inside"), ("\ufffd", "inside"), (" 12", "number"), ("(", "mark"), ("\n\n", "space")],
)
def test_a_token_is_of_the_kind_that_it_spells(text, name):
    assert KINDS[kind(text)] == name


@pytest.mark.parametrize("measure", [ByPlace(groups=4, top=5), ByKind(top=5)])
def test_groups_add_up_to_the_whole(measure, held_out, student, teacher):
    whole = {"likelihood": Likelihood(), "agreement": Agreement(), "resemblance": Resemblance(top=5)}
    rows = Evaluation({**whole, "groups": measure}, {}).evaluate([student], held_out, teacher=teacher).rows
    told = {row.metric: row for row in rows}
    groups = {row.metric.split("/")[1] for row in rows if row.metric.startswith(measure.prefix)}
    assert sum(told[f"{measure.prefix}/{group}/share"].value for group in groups) == pytest.approx(1)
    for metric in (
        "nats_per_token",
        "kl_to_teacher",
        "jsd_to_teacher",
        "top1_agreement",
        "top5_overlap_to_teacher",
        "rank_correlation_to_teacher",
    ):
        parts = [told[f"{measure.prefix}/{group}/{metric}"] for group in groups]
        assert sum(part.value * part.n for part in parts) / 66 == pytest.approx(told[metric].value, rel=1e-5)


def test_places_are_grouped_by_powers_of_two(held_out, student):
    rows = Evaluation({"place": ByPlace(groups=3)}, {}).evaluate([student], held_out).rows
    counts = {row.metric: row.n for row in rows if row.metric.endswith("nats_per_token")}
    assert counts == {
        "by_place/0001/nats_per_token": 6,
        "by_place/0002-0003/nats_per_token": 12,
        "by_place/0004-/nats_per_token": 48,
    }


def test_without_a_teacher_likelihood_is_left(held_out, student):
    rows = Evaluation({"kind": ByKind()}, {}).evaluate([student], held_out).rows
    rows = [row for row in rows if not row.metric.startswith("bootstrap_")]
    assert {row.metric.split("/")[-1] for row in rows} == {"share", "nats_per_token"}
