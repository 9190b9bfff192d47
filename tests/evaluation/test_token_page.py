"""The page of tokens says what the rows say: its numbers sum to the logged divergence."""

import pytest

from distill.evaluation.agreement import Agreement
from distill.evaluation.evaluation import Evaluation
from distill.evaluation.token_page import TokenPage


def evaluated(samples: int, held_out, student, teacher, **more):
    measures = {"agreement": Agreement(), "page": TokenPage(samples=samples, top=3, **more)}
    found = Evaluation(measures, {}).evaluate([student], held_out, teacher=teacher)
    return {row.metric: row for row in found.rows}, [line for line in found.samples if "tokens" in line]


def test_everything_shown_sums_to_the_logged_divergence(held_out, student, teacher):
    rows, lines = evaluated(6, held_out, student, teacher)
    told = [token["kl"] for line in lines for token in line["tokens"]]
    assert len(told) == rows["kl_to_teacher"].n == rows["shown_kl_to_teacher"].n == 66
    assert sum(told) / 66 == pytest.approx(rows["kl_to_teacher"].value, rel=1e-9)
    assert sum(told) / 66 == pytest.approx(rows["shown_kl_to_teacher"].value, rel=1e-12)


def test_some_shown_sum_to_their_own_row(held_out, student, teacher):
    rows, lines = evaluated(2, held_out, student, teacher, tokens=7)
    told = [token["kl"] for line in lines for token in line["tokens"]]
    assert [line["sample"] for line in lines] == [0, 1]
    assert len(told) == rows["shown_kl_to_teacher"].n == 14
    assert sum(told) / 14 == pytest.approx(rows["shown_kl_to_teacher"].value, rel=1e-12)


def test_a_token_has_its_text_and_the_likeliest_of_both_sides(held_out, student, teacher):
    _, lines = evaluated(1, held_out, student, teacher)
    first = lines[0]["tokens"][0]
    assert first["text"] == student.tokenizer.decode([int(held_out[0].targets[0])])
    for side in ("teacher", "own"):
        chances = [chance for _, chance in first[side]]
        assert len(chances) == 3
        assert chances == sorted(chances, reverse=True)
        assert 0 < sum(chances) < 1


def test_without_a_teacher_there_is_no_page(held_out, student):
    rows, lines = evaluated(1, held_out, student, None)
    assert not lines
    assert "shown_kl_to_teacher" not in rows
