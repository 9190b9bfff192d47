"""Questions with reasons: what is learnt in each form, λ as the paper has it, and where every row went."""

import gzip
import json
import lzma

import pytest
import torch

from distill.data.mixture import Mixture
from distill.data.questions.cose import CoSE
from distill.data.questions.gsm8k import GSM8K
from distill.data.questions.question import normal, said
from distill.data.questions.rows import Rows
from distill.data.rationale import RationaleData
from distill.errors import BadInput


@pytest.fixture
def questions(tmp_path):
    """30 questions in two domains, one of them with two rationales."""
    path = tmp_path / "questions.jsonl"
    rows = [
        {"question": f"{n}+{n}?", "answer": str(2 * n), "rationale": f"Twice {n}.", "domain": "ab"[n % 3 == 0]}
        for n in range(30)
    ]
    rows += [{**rows[5], "rationale": "Five and five."}, {**rows[1]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Rows(str(path))


def rationale(questions, **changed):
    plain = {"validation": 0.0, "test": 0.0, "sequence_length": 64, "packing": False, "batch_size": 1}
    return RationaleData(questions, **(plain | changed))


def learnt(data, tokenizer):
    """Prompt and supervised text of every sample."""
    found = []
    for batch in data.train_batches():
        ids, first = batch.inputs["input_ids"][0], int(batch.positions[0])
        prompt = tokenizer.decode(ids[: first + 1].tolist(), skip_special_tokens=True)
        found.append((prompt, tokenizer.decode(batch.targets.tolist())))
    return found


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("label", {("7+7?\n", "14<|endoftext|>")}),
        ("single", {("7+7?\n", "Twice 7.\n#### 14<|endoftext|>")}),
        ("tasks", {("[label] 7+7?\n", "14<|endoftext|>"), ("[rationale] 7+7?\n", "Twice 7.<|endoftext|>")}),
    ],
)
def test_each_form_learns_what_it_says(form, expected, questions, tokenizer):
    data = rationale(questions, form=form)
    data.prepare(tokenizer)
    told = learnt(data, tokenizer)
    assert expected == {one for one in told if "7+7" in one[0]}
    assert len(told) == (60 if form == "tasks" else 30)
    assert data.facts.rows == 32
    assert data.facts.dropped == {"duplicate": 2}


def test_rationales_of_a_question_stay_together_and_share_its_weight(questions, tokenizer):
    data = rationale(questions, form="single", rationales=4)
    data.prepare(tokenizer)
    assert ("5+5?\n", "Five and five.\n#### 10<|endoftext|>") in learnt(data, tokenizer)
    weights = {batch.weights[0].item() for batch in data.train_batches() if batch.weights is not None}
    assert weights == {0.5}


@pytest.mark.parametrize("strength", [0.0, 1.0, 0.3])
def test_lambda_weighs_means_of_tasks_as_the_paper_has_it(strength, questions, tokenizer):
    """Σ weight · loss / N over the training text = mean over label tokens + λ mean over rationale tokens."""
    data = rationale(questions, rationale_weight=strength)
    data.prepare(tokenizer)
    chance = torch.Generator().manual_seed(0)
    total, tokens, by_task = 0.0, 0, {True: [], False: []}
    for batch in data.train_batches():
        losses = torch.rand(batch.tokens, generator=chance)
        weights = torch.ones(batch.tokens) if batch.weights is None else batch.weights
        total, tokens = total + float((weights * losses).sum()), tokens + batch.tokens
        shown = tokenizer.decode(batch.inputs["input_ids"][0].tolist())
        by_task["[label]" in shown] += losses.tolist()
    means = [sum(one) / len(one) if one else 0.0 for one in (by_task[True], by_task[False])]
    assert total / tokens == pytest.approx(means[0] + strength * means[1], rel=1e-5)


def test_validation_and_test_are_what_a_student_is_used_with(questions, tokenizer):
    data = rationale(questions, validation=0.2, test=0.3)
    data.prepare(tokenizer)
    asked = data.asked(99)
    assert len(asked) == data.facts.splits["test"].documents == data.facts.splits["test"].pieces
    assert all(one.prompt == f"[label] {one.question.text}\n" for one in asked)
    assert all(batch.weights is None for batch in data.test_batches())
    single = rationale(questions, form="single", test=0.3)
    single.prepare(tokenizer)
    assert single.answered("Because.\n#### 1,024.") == "1024"
    assert single.answered("I do not know") is None


def test_every_form_trains_one_tokenizer(questions):
    from distill.data.tokenizer import TrainedBPE

    told = {
        form: rationale(questions, form=form, tokenizer=TrainedBPE(280)).prepare().get_vocab()
        for form in ("label", "single", "tasks")
    }
    assert told["label"] == told["single"] == told["tasks"]


def test_the_form_is_in_the_fingerprint(questions, tokenizer):
    prints = set()
    for changed in ({}, {"form": "label"}, {"rationale_weight": 0.5}, {"balance": "tokens"}, {"mark": "\n= "}):
        data = rationale(questions, **changed)
        data.prepare(tokenizer)
        prints.add(data.fingerprint)
    assert len(prints) == 5


# ----------------------------------------------------------------------------------------------------------- domains


def test_domains_are_mixed_weighed_and_chosen(questions, tokenizer):
    plain = rationale(questions, form="label")
    mixed = rationale(questions, form="label", mixture=Mixture({"b": 3.0}, exponent=0.0))
    heavy = rationale(questions, form="label", domain_weights={"b": 2.0})
    alone = rationale(questions, form="label", train_domains=["b"], test=0.3)
    for data in (plain, mixed, heavy, alone):
        data.prepare(tokenizer)
    counts = [sum(b.domains == ("b",) for b in data.train_batches()) for data in (plain, mixed)]
    assert counts[0] == 10
    assert counts[1] == round(0.75 * 30) or counts[1] == 23
    assert len(mixed.rows["train"]) == 30
    for batch in heavy.train_batches():
        assert (batch.weights is None) == (batch.domains == ("a",))
        assert batch.weights is None or batch.weights.tolist() == [2.0] * batch.tokens
    assert {b.domains for b in alone.train_batches()} == {("b",)}
    assert {b.domains for b in alone.test_batches()} == {("a",), ("b",)}
    assert alone.facts.dropped["other_domain"] > 0
    account = sum(one.documents for one in alone.facts.splits.values()) + sum(alone.facts.dropped.values())
    assert account == alone.facts.rows


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_shares_follow_the_temperature(exponent):
    domains = ["a"] * 90 + ["b"] * 10
    mixed = Mixture(exponent=exponent).mixed(domains)
    share = sum(domains[i] == "b" for i in mixed) / 100
    assert share == pytest.approx(10**exponent / (10**exponent + 90**exponent), abs=0.01)
    assert len(mixed) == 100
    assert exponent < 1 or sorted(mixed) == list(range(100))


def test_a_domain_that_is_not_there_is_refused(questions, tokenizer):
    with pytest.raises(BadInput, match=r"weights\.c: no such domain; there are a, b"):
        rationale(questions, mixture=Mixture({"c": 1.0})).prepare(tokenizer)
    with pytest.raises(BadInput, match="train_domains"):
        rationale(questions, train_domains=["c"]).prepare(tokenizer)


# ----------------------------------------------------------------------------------------------------------- readers


def test_gsm8k_without_its_calculator(tmp_path, tokenizer):
    row = {"question": "How many?", "answer": "He has 2+2 = <<2+2=4>>4.\n#### 1,004"}
    path = tmp_path / "train.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(row) + "\n").encode()))
    data = rationale(GSM8K(str(path)), form="single")
    data.prepare(tokenizer)
    assert learnt(data, tokenizer) == [("How many?\n", "He has 2+2 = 4.\n#### 1,004<|endoftext|>")]
    path.write_bytes(gzip.compress(json.dumps({"question": "x", "answer": "y"}).encode()))
    with pytest.raises(BadInput, match="an answer without ####"):
        rationale(GSM8K(str(path))).prepare(tokenizer)


def test_cose_is_joined_by_id(tmp_path, tokenizer):
    choices = [{"label": "A", "text": "shop"}, {"label": "B", "text": "house"}]
    asked = [{"id": i, "answerKey": "B", "question": {"stem": f"Where {i}?", "choices": choices}} for i in "xyz"]
    told = [{"id": i, "explanation": {"open-ended": f"Because {i}.", "selected": "s"}} for i in "xy"]
    for name, rows in (("q.jsonl.xz", asked), ("e.jsonl.xz", told)):
        (tmp_path / name).write_bytes(lzma.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    data = rationale(CoSE(str(tmp_path / "q.jsonl.xz"), str(tmp_path / "e.jsonl.xz")), form="single")
    data.prepare(tokenizer)
    assert ("Where x? shop, house?\n", "Because x.\n#### house<|endoftext|>") in learnt(data, tokenizer)
    assert data.facts.dropped == {"no_explanation": 1}


def test_gsm_symbolic_is_the_same_at_every_call_and_ends_in_its_answer():
    pytest.importorskip("reasoning_gym")
    from distill.data.corpus import Tally
    from distill.data.questions.gsm_symbolic import GSMSymbolic

    reader = GSMSymbolic(40, templates=[43, 10])
    first, again = (list(reader.read(Tally())) for _ in range(2))
    assert first == again
    assert {one.domain for one in first} == {"template_43", "template_10"}
    assert all(one.answer in one.rationales[0] for one in first)
    with pytest.raises(BadInput, match="no such template"):
        list(GSMSymbolic(templates=[1000]).read(Tally()))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("#### 1,024", "1024"),
        ("#### $18.", "18"),
        ("#### 3\n#### 4.00", "4"),
        ("none", None),
        ("#### The House ", "house"),
    ],
)
def test_an_answer_is_read_as_it_is_compared(written, expected):
    import re

    assert said(written, re.compile(r"####\s*(.+)")) == expected
    assert expected is None or normal(expected) == expected
