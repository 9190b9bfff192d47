"""Every filter and every pick, on candidates that somebody made up; and the account, which loses none."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import BadInput
from distill.generation.asking import Asking
from distill.generation.candidate import Candidate, Prompt
from distill.generation.filters.agreement import Agreement
from distill.generation.filters.correctness import Correctness
from distill.generation.filters.length import Length
from distill.generation.filters.likelihood import Likelihood
from distill.generation.filters.perplexity import Perplexity
from distill.generation.filters.repetition import Repetition
from distill.generation.finishing import finish
from distill.generation.picks.closest import Closest
from distill.generation.picks.everything import Everything
from distill.generation.picks.likeliest import Likeliest
from distill.generation.picks.majority import Majority


def candidate(text="A text.", answer="", nats=1.0, tokens=2, ended=True, reference="", number=0, key="k"):
    return Candidate(key, number, text, answer, tokens, nats, ended, "q", reference, "", "q")


def answers(*told, **more):
    return [candidate(text=f"{i}", answer=one, number=i, **more) for i, one in enumerate(told)]


def test_length():
    keeps = Length(shortest=3, longest=5).keeps
    assert keeps([candidate(text) for text in ("ab", "abc", "abcde", "abcdef", "   ")]) == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert keeps([candidate("abc", ended=False)]) == [False]
    assert Length(ended=False).keeps([candidate("abc", ended=False)]) == [True]


def test_repetition():
    assert Repetition(words=2, most=0.5).keeps([candidate("a b a b a b"), candidate("a b c d"), candidate("a")]) == [
        False,
        True,
        True,
    ]


def test_language():
    pytest.importorskip("py3langid")
    from distill.generation.filters.language import Language

    told = [
        candidate("Der Lehrer schreibt einen langen Text über die Schule."),
        candidate("The teacher writes a text."),
    ]
    assert Language(["en"]).keeps(told) == [False, True]
    assert Language(["de"], shortest=1000).keeps(told) == [True, True]
    with pytest.raises(BadInput, match="no language"):
        Language(["klingon"])


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (("4", "4.0", "5"), [True, True, False]),
        (("4", "5"), [False, False]),
        (("", "", "4"), [False, False, False]),
        (("4", "4", ""), [True, True, False]),
    ],
)
def test_agreement(told, kept):
    assert Agreement(0.5).keeps(answers(*told)) == kept


def test_correctness():
    assert Correctness().keeps(answers("1,000", "2", "", reference="1000")) == [True, False, False]
    assert Correctness().keeps(answers("1")) == [False]
    assert Correctness(unknown=True).keeps(answers("1")) == [True]


def test_likelihood_judges_a_mean_and_drops_what_nobody_measured():
    told = [candidate(nats=1.0, tokens=2), candidate(nats=3.0, tokens=2), candidate(nats=math.nan, tokens=0)]
    assert Likelihood(most=1.0).keeps(told) == [True, False, False]


def test_perplexity_is_that_of_the_judge(tmp_path, tiny_llama, tokenizer):
    from distill.teachers.live import Live
    from distill.teachers.none import NoTeacher

    tiny_llama().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    judge = Live(str(tmp_path))
    told = [candidate("The quick brown fox."), candidate("")]
    assert Perplexity(judge, most=1e6).keeps(told) == [True, False]
    assert Perplexity(judge, most=1.0).keeps(told) == [False, False]
    with pytest.raises(BadInput, match="no model here"):
        Perplexity(NoTeacher())


def test_picks():
    told = [
        candidate("a cat", "1", nats=4.0, tokens=2, reference="the cat sat"),
        candidate("the cat sat", "2", nats=6.0, tokens=2, reference="the cat sat"),
        candidate("a dog", "1", nats=1.0, tokens=2, reference="the cat sat"),
    ]
    assert Everything(2).picks(told) == told[:2]
    assert Likeliest().picks(told) == [told[2]]
    assert Majority().picks(told) == [told[2]]
    with pytest.raises(BadInput, match="no probabilities"):
        Likeliest().picks([candidate(nats=math.nan)])


def test_closest_is_sequence_interpolation():
    pytest.importorskip("sacrebleu")
    told = [candidate(text, reference="the cat sat on the mat") for text in ("a dog ran", "the cat sat on a mat")]
    assert Closest().picks(told) == [told[1]]


@given(
    texts=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "x x x x x x"])), max_size=12),
    longest=st.integers(1, 20),
)
@settings(max_examples=50, deadline=None)
def test_no_candidate_is_lost(texts, longest):
    told = [candidate(text, key=key, number=i) for i, (key, text) in enumerate(texts)]
    filters = {"length": Length(longest=longest), "repetition": Repetition(2, 0.5)}
    found = finish(list("abc"), told, filters, Everything(2))
    assert found.candidates == len(texts) == len(found.rows) + sum(found.dropped.values())
    assert len({(one.question, one.text) for one in found.rows}) == len(found.rows)


# -------------------------------------------------------------------------------------------------- ways of asking


def test_a_prompt_is_filled_in_once_and_braces_stay():
    asking = Asking("{question} Not {wrong} but {answer}. {json}")
    assert asking.words("What is {answer}?", "4") == "What is {answer}? Not 5 but 4. {json}"


def test_answers_are_read():
    asking = Asking(answer=r"answer is\s*(\S+)")
    assert asking.read("So the answer is 1,024.", "") == "1024"
    assert asking.read("No idea.", "7") == ""
    assert Asking(given=True).read("Because.", "7") == "7"


def test_examples_come_from_a_file(tmp_path):
    path = tmp_path / "examples.jsonl"
    path.write_text('{"question": "1+1?", "rationale": "One and one.", "answer": "2"}\n')
    asking = Asking("{examples}Q: {question}\nA:", examples=str(path))
    assert asking.words("2+2?") == "Q: 1+1?\nA: One and one. So the answer is 2.\n\nQ: 2+2?\nA:"
    with pytest.raises(BadInput, match="this way of asking shows some"):
        Asking("{examples}{question}")
    with pytest.raises(BadInput, match="no regular expression"):
        Asking(answer="(")


def test_a_prompt_is_named_by_all_that_it_says():
    keys = {Prompt(*told).key for told in (("a", "a"), ("a", "b"), ("a", "a", "r"), ("b", "a"))}
    assert len(keys) == 4
