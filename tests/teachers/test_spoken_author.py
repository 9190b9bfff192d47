"""A model behind HTTP as an author: a seed for each candidate, and nothing claimed that nobody measured."""

import math

import pytest

from distill.errors import BadInput
from distill.export.torch_runner import TorchRunner
from distill.models import evaluating
from distill.rollouts.scoring import scored
from distill.serving.engine import Engine
from distill.serving.server import Server as Serving
from distill.teachers.author import Ask, Writing
from distill.teachers.server import Server
from distill.teachers.spoken_author import Manner, SpokenAuthor
from distill.teachers.text import Text
from tests.teachers.trouble import status, troubled

PLAIN = Ask(new_tokens=5, chat=False)
QUICK = {"pause": 0.001, "timeout": 5.0}


def author(temperature=0.7, **told):
    def speak(prompts, ask, seeds):
        texts = [f" {prompt}/{ask.new_tokens}/{seed % 10} " for prompt, seed in zip(prompts, seeds, strict=True)]
        return [Writing(text, 0, math.nan, True) for text in texts]

    return SpokenAuthor(speak, "box", "teacher.url", tells=False, manner=Manner(temperature, True, None), **told)


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama(width=16).eval()


@pytest.fixture(scope="module")
def url(model, tokenizer):
    with Serving(Engine("tiny-1", TorchRunner(model, 300), tokenizer)).running() as there:
        yield there


def test_candidates_have_seeds_of_their_own():
    found = author().write(["a", "b"], Ask(candidates=2, new_tokens=5, temperature=0.7), [1, 7])
    assert [[one.text for one in several] for several in found] == [["a/5/1", "a/5/2"], ["b/5/7", "b/5/8"]]


def test_at_temperature_zero_it_is_asked_once():
    assert len(author(0.0).write(["a"], Ask(candidates=3), [1])[0]) == 1


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (Ask(beams=4, temperature=0.7), "searches none"),
        (Ask(temperature=1.0), r"decoding\.temperature: 1\.0: the teacher has another; .*teacher\.temperature=1"),
        (Ask(temperature=0.7, chat=False), r"decoding\.chat: False: the teacher has another; .*teacher\.chat=false"),
        (Ask(temperature=0.7, system="Be brief."), r"decoding\.system: Be brief\.: the teacher has another"),
    ],
)
def test_what_it_cannot_do_is_refused(ask, reason):
    with pytest.raises(BadInput, match=reason):
        author().write(["a"], ask, [0])


def test_words_alone_claim_nothing_but_their_length(url):
    one = Text(url, chat=False, **QUICK).author()
    ((found,),) = one.write(["The fox"], PLAIN, [0])
    assert not one.tells
    assert math.isnan(found.nats)
    assert (found.tokens, found.ended) == (5, False)
    with pytest.raises(BadInput, match="says nothing about texts of others"):
        one.likelihoods(["a"], ["b"], Ask())


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_server_tells_what_the_model_thinks_of_its_text(url, model, tokenizer, temperature):
    ask = Ask(new_tokens=6, chat=False, temperature=temperature, candidates=2)
    made = Server(url, **QUICK).author()
    ((first, *_),) = made.write(["The fox"], ask, [3])
    assert made.tells
    assert (first.tokens, first.ended) == (6, False)
    prompt = tokenizer("The fox", return_tensors="pt").input_ids[0]
    with Serving(Engine("again", TorchRunner(model, 300), tokenizer)).running() as there:
        body = {"prompt": "The fox", "max_tokens": 6, "temperature": temperature, "seed": 3, "logprobs": 0}
        told = Server(there, **QUICK).wire.ask("/v1/completions", {**body, "return_tokens_as_token_ids": True})
    ids = [int(name.removeprefix("token_id:")) for name in told["choices"][0]["logprobs"]["tokens"]]
    with evaluating(model):
        (nats,) = scored(model, [prompt], [prompt.new_tensor(ids)], len(tokenizer))
    assert first.nats == pytest.approx(nats, abs=1e-4)


def test_a_conversation_tells_it_too(model, tokenizer):
    import copy

    chatting = copy.deepcopy(tokenizer)
    chatting.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    with Serving(Engine("chatty", TorchRunner(model, 300), chatting)).running() as there:
        ((chat,),) = Server(there, **QUICK).author().write(["The fox"], Ask(new_tokens=5), [0])
        ((plain,),) = Server(there, **QUICK).author().write(["The fox\n"], PLAIN, [0])
    assert (chat.text, chat.tokens) == (plain.text, plain.tokens)
    assert chat.nats == pytest.approx(plain.nats, abs=1e-6)


@pytest.mark.parametrize(
    "answer",
    [
        b'{"choices": [{"text": "a", "logprobs": null}]}',
        b'{"choices": [{"text": "a"}]}',
        b'{"choices": [{"text": "a", "logprobs": {"token_logprobs": [-1.0, "low"]}}]}',
        b'{"choices": [{"text": "a", "logprobs": {"token_logprobs": [0.5]}}]}',
    ],
)
def test_a_server_that_tells_no_probabilities_is_refused_with_the_remedy(url, answer):
    with troubled(url, lambda handler: handler._answer(200, answer)) as (there, _):
        made = Server(there, model="tiny-1", **QUICK).author()
        with pytest.raises(BadInput, match=r"does not tell how likely .* use teacher=text"):
            made.write(["The fox"], PLAIN, [0])


def test_trouble_that_passes_changes_no_word(url):
    asked = (["The fox", "A student"], Ask(new_tokens=5, chat=False, temperature=0.9, candidates=2), [1, 2])
    expected = Server(url, **QUICK).author().write(*asked)
    with troubled(url, status(500), status(429), lambda handler: handler.connection.close()) as (there, seen):
        assert Server(there, model="tiny-1", **QUICK).author().write(*asked) == expected
    assert len(seen) == 4 + 3


def test_authors_are_told_apart_by_how_they_are_asked(url):
    served = [Server(url, revision=one).author() for one in (None, "2")]
    words = [Text(url, temperature=t).author() for t in (0.0, 0.5)]
    assert len({one.fingerprint for one in (*served, *words)}) == 4
    assert all("127.0.0.1" in one.name for one in (*served, *words))
