"""A black box as an author: a seed for each candidate, and nothing claimed that nobody measured."""

import math

import pytest

from distill.errors import BadInput
from distill.teachers.author import Ask
from distill.teachers.spoken_author import SpokenAuthor
from distill.teachers.text import Text


def author(temperature=0.7):
    def speak(prompts, new_tokens, seeds):
        return [f" {prompt}/{new_tokens}/{seed % 10} " for prompt, seed in zip(prompts, seeds, strict=True)]

    return SpokenAuthor(speak, "box", temperature, True, None, "teacher.url")


def test_candidates_have_seeds_of_their_own():
    found = author().write(["a", "b"], Ask(candidates=2, new_tokens=5, temperature=0.7), [1, 7])
    assert [[one.text for one in several] for several in found] == [["a/5/1", "a/5/2"], ["b/5/7", "b/5/8"]]
    assert all(math.isnan(one.nats) and one.tokens == 0 for several in found for one in several)


def test_at_temperature_zero_it_is_asked_once():
    assert len(author(0.0).write(["a"], Ask(candidates=3), [1])[0]) == 1


@pytest.mark.parametrize(("ask", "reason"), [(Ask(beams=4), "searches none"), (Ask(temperature=1.0), "has another")])
def test_what_it_cannot_do_is_refused(ask, reason):
    with pytest.raises(BadInput, match=reason):
        author().write(["a"], ask, [0])


def test_a_served_teacher_has_one():
    one, other = (Text("http://localhost:1", temperature=t).author() for t in (0.0, 0.5))
    assert "localhost:1" in one.name
    assert one.fingerprint != other.fingerprint
    with pytest.raises(BadInput, match="says nothing about texts of others"):
        one.likelihoods(["a"], ["b"], Ask())
