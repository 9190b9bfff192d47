"""What models write after prompts, against definitions and identities."""

import random

import numpy as np
import pytest
import torch

from distill.data.prompts import Prompt
from distill.errors import BadInput
from distill.evaluation.evaluation import Evaluation
from distill.evaluation.generation import Generation, Written
from distill.evaluation.noise import Noise, spoiled
from distill.evaluation.overlap import answer, distinct, installed, parser, repeated
from distill.evaluation.sampling import beginnings, drawn, thought
from distill.evaluation.subject import Subject
from distill.evaluation.visited import Visited, excess

TEXTS = ["The quick brown fox jumps", "A student learns from a teacher", "def distil(teacher, student)"]


@pytest.fixture
def prompts(tokenizer) -> list[Prompt]:
    return [Prompt(tuple(tokenizer(text).input_ids[:6]), text, " over the lazy dog") for text in TEXTS]


@pytest.fixture
def sides(tiny_llama, tokenizer) -> list[Subject]:
    sizes = (("teacher", 24, 7), ("student", 16, 0))
    return [Subject(name, tiny_llama(width=width, seed=seed).eval(), tokenizer, 300) for name, width, seed in sizes]


def values(rows) -> dict[str, float]:
    return {row.metric: row.value for row in rows}


def test_a_draw_is_the_same_again_and_of_the_model(sides, prompts):
    ids = beginnings(prompts)
    first, again, other = (drawn(sides[1], ids, 12, seed) for seed in (3, 3, 4))
    assert torch.equal(first.ids, again.ids)
    assert not torch.equal(first.ids, other.ids)
    assert torch.equal(first.ids[:, : first.prompt], ids)


def test_draws_are_of_the_models_own_distribution(sides):
    model, count = sides[1], 4000
    ids = torch.tensor([[5, 6, 7]])
    told = drawn(model, ids.expand(count, -1), 1, seed=0)
    found = torch.bincount(told.targets, minlength=300) / count
    with torch.no_grad():
        expected = model.model(ids).logits[0, -1].softmax(-1)
    assert (found - expected).abs().max() < 4 * (expected.max() / count).sqrt()


def test_without_chance_it_is_greedy(sides, prompts):
    ids = beginnings(prompts)
    expected = sides[1].model.generate(ids, max_new_tokens=5, do_sample=False, eos_token_id=-1, pad_token_id=0)
    assert torch.equal(drawn(sides[1], ids, 5, seed=0, temperature=0.0).ids, expected)


def test_states_are_those_in_which_living_tokens_were_written(sides, prompts):
    text = drawn(sides[1], beginnings(prompts), 8, seed=1)
    text.alive[0, 3:] = False  # as after an end mark
    with torch.no_grad():
        told = thought(sides[1], text)
        logits = sides[1].model(text.ids).logits[0, text.prompt - 1 : text.prompt + 2]
    assert torch.allclose(told.head.logits(told.hidden[:3]), logits, atol=1e-5)
    assert text.targets[:3].tolist() == text.ids[0, text.prompt : text.prompt + 3].tolist()
    assert text.owners.tolist() == [0] * 3 + [1] * 8 + [2] * 8
    assert text.places.tolist() == [0, 1, 2, *range(8), *range(8)]


def test_a_student_that_is_its_teacher_risks_what_the_teacher_risks(sides, prompts):
    twin = Subject("student", sides[0].model, sides[0].tokenizer, 300)
    told = values(Visited(3, 10).measure([sides[0], twin], prompts)["student"])
    assert told["risk_likelihood"] == told["risk_coverage"]
    assert told["kl_to_teacher_visited"] == told["reverse_kl_to_teacher_visited"] == 0.0
    assert np.isnan(told["excess_accumulated_error/0010"])  # no error that could grow


def test_risks_are_likelihoods_of_the_other_sides_text(sides, prompts):
    teacher, student = sides
    told = values(Visited(3, 10, seed=2).measure(sides, prompts)["student"])
    begun = beginnings(prompts)
    for metric, writer, judge in (("risk_likelihood", student, teacher), ("risk_coverage", teacher, student)):
        text = drawn(writer, begun, 10, seed=2)
        assert bool(text.alive.all())
        with torch.no_grad():
            log_q = judge.model(text.ids[:, :-1]).logits[:, text.prompt - 1 :].double().log_softmax(-1)
        nats = -log_q.gather(-1, text.ids[:, text.prompt :, None])
        assert told[metric] == pytest.approx(nats.mean().item(), rel=1e-5)
    assert told["excess_accumulated_error/0001"] == pytest.approx(0.0, abs=1e-6)  # both stand at the prompt's end


def test_excess_is_a_ratio_of_sums_over_prompts():
    value, (low, high) = excess(np.array([2.0, 4.0]), np.array([1.0, 3.0]))
    assert value == pytest.approx(0.5)
    assert (low, high) == (pytest.approx(1 / 3), pytest.approx(1.0))


def test_without_a_teacher_nothing_is_visited(sides, prompts):
    assert Visited(3, 4).measure(sides[1:], prompts) == {"student": []}


def test_numbers_of_written_texts():
    texts = [
        Written([1, 2, 3, 1, 2, 3, 1, 2], "the sum is #### 1,200", "so #### 1200", True),
        Written([4], "a  b\n", "a b", False),
    ]
    told = {row.metric: row for row in Generation(answer=r"####\s*(\S+)").rows(texts)}
    assert told["exact_match"].value == 0.5
    assert told["accuracy_parsed"].value == 0.5
    assert told["ended"].value == 0.5
    assert told["generated_tokens"].value == 4.5
    assert told["repetition_4"].value == pytest.approx((1 - 3 / 5) / 2)
    assert told["distinct_1"].value == pytest.approx(4 / 9)
    assert told["length_ratio"].value == pytest.approx(26 / 15)


@pytest.mark.skipif(not installed(), reason="needs the eval extra: pip install 'distill-lab[eval]'")
def test_a_reference_is_like_itself():
    texts = [Written([1, 2], one, one, True) for one in TEXTS]
    told = values(Generation().rows(texts))
    assert told["rouge_l"] == 1.0
    assert told["bleu"] == pytest.approx(100.0)
    assert told["chrf"] == pytest.approx(100.0)


def test_repetition_and_diversity_by_hand():
    assert repeated([1, 2, 3]) == 0.0
    assert repeated([7] * 6) == pytest.approx(1 - 1 / 3)
    assert distinct([[1, 2, 1, 2], [1, 2]], 2) == pytest.approx(2 / 4)


def test_a_parser_takes_the_last_match_and_is_refused_if_it_is_none():
    assert answer("first 3, then 14.", parser(r"\d+")) == "14"
    assert answer("nothing", parser(r"\d+")) is None
    with pytest.raises(BadInput, match="no regular expression"):
        Generation(answer="(")


def test_questions_may_come_from_a_file(sides, tmp_path):
    (tmp_path / "q.jsonl").write_text('{"prompt": "The quick", "answer": "fox"}\n\n')
    told = Generation(2, 3, path=str(tmp_path / "q.jsonl")).measure(sides, [])
    assert {row.n for row in told["student"]} == {1}
    (tmp_path / "q.jsonl").write_text('{"question": "x"}\n')
    with pytest.raises(BadInput, match="KeyError"):
        Generation(path=str(tmp_path / "q.jsonl")).measure(sides, [])


def test_no_errors_cost_nothing(sides, prompts):
    told = values(Noise(3, rate=0.0).measure(sides, prompts)["student"])
    assert told == {"noise_nats_per_token_change": 0.0, "noise_kl": 0.0, "noise_seed": 0}
    assert values(Noise(3, rate=0.5).measure(sides, prompts)["student"])["noise_kl"] > 0


def test_errors_are_in_letters_and_as_many_as_asked():
    text = "abcdefghij" * 200
    assert spoiled(text, 0.0, random.Random(0)) == text
    assert spoiled("., \n-", 1.0, random.Random(0)) == "., \n-"
    spoilt = spoiled(text, 0.1, random.Random(0))
    assert 0.02 < 1 - sum(a == b for a, b in zip(text[:20], spoilt, strict=False)) / 20 + 0.1 < 1.2
    assert abs(len(spoilt) - len(text)) < 60  # losses and doublings balance


def test_prompt_measures_stand_in_an_evaluation(held_out, sides, prompts):
    measures = {"visited": Visited(2, 4), "noise": Noise(2)}
    evaluation = Evaluation({}, {}, prompt_measures=measures)
    assert evaluation.prompts == 2
    rows = evaluation.evaluate(sides, held_out, prompts).rows
    assert {row.split for row in rows} == {"test"}
    assert {row.subject for row in rows} == {"teacher", "student"}
    assert evaluation.evaluate(sides, held_out, []).rows == []
