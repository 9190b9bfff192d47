"""The interval of a mean is reproducible, has the width that theory gives, and knows that samples hold together."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.data.collate import Collate
from distill.data.encode import Encoded
from distill.data.packing import cut, pack
from distill.evaluation.bootstrap import SEED, SampleMean
from distill.evaluation.evaluation import Evaluation
from distill.evaluation.likelihood import Likelihood
from distill.evaluation.subject import Subject
from distill.models import answer, evaluating


def filled(values: torch.Tensor, owners: torch.Tensor) -> SampleMean:
    mean = SampleMean()
    mean.add(values, owners)
    return mean


@given(st.lists(st.tuples(st.floats(-100, 100), st.integers(0, 20)), min_size=1, max_size=60), st.integers(1, 10))
def test_cutting_the_tokens_differently_changes_nothing(told, size):
    values, owners = torch.tensor([v for v, _ in told], dtype=torch.float64), torch.tensor([o for _, o in told])
    pieces = SampleMean()
    for start in range(0, len(values), size):
        pieces.add(values[start : start + size], owners[start : start + size])
    assert pieces.n == len(told)
    assert pieces.value == pytest.approx(values.mean().item(), abs=1e-9)
    assert pieces.interval(20) == pytest.approx(filled(values, owners).interval(20), abs=1e-9)


def test_interval_is_reproducible_and_holds_the_mean():
    torch.manual_seed(0)
    mean = filled(torch.randn(500), torch.arange(500) // 5)
    low, high = mean.interval()
    assert mean.interval() == (low, high)
    assert low < mean.value < high
    assert mean.interval(seed=1) != (low, high)


def test_width_is_that_of_the_normal_theory_for_independent_samples():
    torch.manual_seed(0)
    values = torch.randn(4000, dtype=torch.float64)
    low, high = filled(values, torch.arange(4000)).interval()
    assert high - low == pytest.approx(2 * 1.96 * values.std().item() / math.sqrt(4000), rel=0.08)


def test_tokens_that_repeat_within_a_sample_teach_nothing_new():
    torch.manual_seed(0)
    values = torch.randn(300)
    once = filled(values, torch.arange(300)).interval()
    tenfold = filled(values.repeat_interleave(10), torch.arange(300).repeat_interleave(10)).interval()
    assert tenfold == pytest.approx(once, abs=1e-6)


def test_samples_count_by_their_tokens():
    mean = filled(torch.tensor([1.0, 1.0, 1.0, 5.0]), torch.tensor([0, 0, 0, 1]))
    assert mean.value == 2.0
    assert mean.interval(200) == (1.0, 5.0)


def test_nothing_or_one_sample_has_no_interval():
    assert math.isnan(SampleMean().value)
    assert SampleMean().interval() == (None, None)
    assert filled(torch.ones(3), torch.zeros(3, dtype=torch.long)).interval() == (None, None)


def test_an_undefined_value_is_undefined_and_not_skipped():
    mean = filled(torch.tensor([1.0, float("nan")]), torch.tensor([0, 1]))
    assert math.isnan(mean.value)
    assert mean.interval() == (None, None)


def test_a_bootstrap_of_the_evaluation_draws_documents_where_the_data_tells_them(tokenizer, tiny_llama):
    """Two documents of four pieces each: nothing but two numbers is drawn, whatever the pieces are."""
    encoded = Encoded(torch.arange(82).numpy() % 300, torch.ones(82).numpy(), torch.tensor([0, 41, 82]).numpy())
    rows = pack(cut(encoded, 10), 10)
    batch = Collate(10, 0, packing=True)([rows[i] for i in range(len(rows))])
    assert sorted(batch.documents) == [0] * 4 + [1] * 4
    subject = Subject("student", tiny_llama(), tokenizer, 300)
    found = Evaluation({"likelihood": Likelihood()}, {}).evaluate([subject], [batch])
    told = {row.metric: row for row in found.rows}
    assert told["bootstrap_documents"].value == 2
    assert told["bootstrap_seed"].value == SEED

    with torch.no_grad(), evaluating(subject.model):
        outputs = answer(subject.model, batch.inputs, batch.positions)
    nats = -outputs.head.logits(outputs.hidden).log_softmax(-1).gather(1, batch.targets[:, None])[:, 0]
    whole = SampleMean()
    whole.add(nats, torch.tensor(batch.documents)[batch.owners])
    assert (told["nats_per_token"].low, told["nats_per_token"].high) == pytest.approx(whole.interval())
    alone = replace(batch, documents=())
    row = next(r for r in Evaluation({"l": Likelihood()}, {}).evaluate([subject], [alone]).rows if r.low is not None)
    assert (row.low, row.high) != pytest.approx(whole.interval())
