"""A teacher behind HTTP, against a real server on loopback: what it says, and what is done about trouble."""

import dataclasses
import time

import pytest
import torch

from distill.errors import BadInput, ResourceStop
from distill.export.torch_runner import TorchRunner
from distill.serving.engine import Engine
from distill.serving.server import Server as Serving
from distill.signals.kept.kept import Span
from distill.signals.kept.likeliest import KeptTopK
from distill.signals.topk import TopK
from distill.teachers.heard import entries, likeliest
from distill.teachers.live import Live
from distill.teachers.server import Server
from distill.teachers.stored import Stored
from distill.teachers.text import Text
from distill.teachers.verification import gaps
from distill.teachers.wire import Wire
from distill.types import Batch, Request
from tests.teachers.trouble import cut, garbled, gone, hang, status, troubled
from tests.training.conftest import batch

QUICK = {"pause": 0.001, "timeout": 5.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_llama, tokenizer) -> str:
    path = tmp_path_factory.mktemp("served")
    tiny_llama(width=16).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def url(folder, tokenizer):
    engine = Engine("tiny-1", TorchRunner(Live(folder).model, 300), tokenizer, cap=20)
    with Serving(engine).running() as there:
        yield there


@pytest.fixture
def server(url, tokenizer) -> Server:
    made = Server(url, k=8, **QUICK)
    made.read_with(tokenizer)
    return made


def known(server: Server) -> Server:
    """Whose vocabulary is known, and its tokens are not compared."""
    server.share(300)
    return server


def test_it_says_what_the_live_model_says_of_its_likeliest(server, folder):
    given = batch(3)
    server.ready()
    signal, live = server.teach(given, Request()), Live(folder).teach(given, Request())
    rows = slice(0, given.tokens)
    (logits,) = live.chunk(rows)
    expected = TopK.of(logits, 8, 1.0)
    ids, log_p = signal.chunk(rows)
    assert torch.equal(ids, expected.ids)
    torch.testing.assert_close(log_p, expected.chunk(rows)[1], atol=2e-5, rtol=0)
    assert server.passes == 1
    assert signal.provides == server.provides


def test_packed_and_padded_samples_are_asked_by_themselves(server, folder):
    ids = torch.tensor([[0, 11, 12, 13, 21, 22, 23, 0]])
    places = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 0]])
    positions = torch.tensor([0, 2, 3, 4, 6])
    inputs = {"input_ids": ids, "position_ids": places}
    packed = Batch(inputs, inputs, positions, positions, torch.tensor([11, 13, 9, 22, 8]), positions // 4, ("a", "b"))
    rows = slice(0, 5)
    (logits,) = Live(folder).teach(packed, Request()).chunk(rows)
    found = server.teach(packed, Request()).chunk(rows)[1]
    torch.testing.assert_close(found, TopK.of(logits, 8, 1.0).chunk(rows)[1], atol=2e-5, rtol=0)


def test_what_it_said_is_kept_and_asked_once(server, tmp_path):
    given = batch(1)
    stored = Stored(server, KeptTopK(k=6, dtype="float32"), cache=str(tmp_path))
    first = stored.teach(given, Request()).chunk(slice(0, given.tokens))
    tries = server.wire.tries
    again = Stored(server, KeptTopK(k=6, dtype="float32"), cache=str(tmp_path)).teach(given, Request())
    assert server.wire.tries == tries
    for one, other in zip(first, again.chunk(slice(0, given.tokens)), strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(first[1].exp().sum(-1), torch.ones(given.tokens))


def test_what_is_kept_is_held_against_what_it_says_now(server, tmp_path):
    given = batch(1)
    stored = Stored(server, KeptTopK(k=6, dtype="float32"), cache=str(tmp_path))
    stored.teach(given, Request())
    assert gaps(stored, given).max() <= stored.signal.bound
    other = stored.signal.gap(
        stored.teach(given, Request()),
        server.teach(batch(2), Request()),
        [Span(0, min(given.tokens, batch(2).tokens), b"")],
        stored.room,
    )
    assert other.max() > stored.signal.bound


def test_more_than_it_tells_cannot_be_kept(server, tmp_path):
    stored = Stored(server, KeptTopK(k=9), cache=str(tmp_path))
    with pytest.raises(BadInput, match=r"teacher\.signal\.k.*tells 8 tokens.*teacher\.source\.k"):
        stored.teach(batch(0), Request())


def test_a_cap_is_told_with_both_remedies(url):
    with pytest.raises(BadInput, match=r"teacher\.k: 21: .*max allowed: 20; start it with --max-logprobs 21.*lower"):
        Server(url, k=21, **QUICK).ready()


def test_another_tokenizer_is_found_out(url, tokenizer):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made = Server(url, **QUICK)
    made.read_with(PreTrainedTokenizerFast(tokenizer_object=plain))
    with pytest.raises(BadInput, match=r"teacher\.tokenizer.*other tokens"):
        made.ready()


def test_its_name_and_revision_are_who_it_is(server, url):
    assert server.fingerprint == Server(url, model="tiny-1").fingerprint
    assert server.fingerprint != Server(url, model="tiny-1", revision="2").fingerprint
    with pytest.raises(BadInput, match="does not exist"):
        Server(url, model="other", **QUICK).ready()


def test_states_are_not_to_be_had(server):
    with pytest.raises(BadInput, match="teacher=live"):
        server.teach(batch(0), Request(layers=True))


# ------------------------------------------------------------------------------------------------------------- trouble


PASSING = [status(429), status(500), status(502), status(503), status(504), status(408), hang, cut, garbled, gone]


@pytest.mark.parametrize("trouble", PASSING)
def test_what_may_pass_is_asked_again(url, trouble):
    expected = known(Server(url, model="tiny-1", k=5)).teach(batch(2), Request()).chunk(slice(0, 9))
    with troubled(url, trouble, trouble) as (there, _):
        made = known(Server(there, model="tiny-1", k=5, pause=0.001, timeout=0.2 if trouble is hang else 5.0))
        found = made.teach(batch(2), Request()).chunk(slice(0, 9))
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("trouble", [status(429), hang, cut], ids=["429", "hang", "cut"])
def test_patience_ends_with_what_happened_last(url, trouble):
    with troubled(url, *[trouble] * 9) as (there, seen):
        made = Server(there, model="tiny-1", k=5, retries=2, pause=0.001, timeout=0.1)
        with pytest.raises(ResourceStop, match=r"teacher\.url.*no answer in 3 tries.*the same command goes on"):
            made.ready()
        assert len(seen) == 3


def test_nobody_there_is_told_as_such():
    with pytest.raises(ResourceStop, match=r"no answer in 2 tries \(ConnectionRefusedError"):
        Server("http://127.0.0.1:9", model="m", retries=1, **QUICK).ready()


def test_a_pause_that_the_server_asks_for_is_kept(url):
    with troubled(url, status(429, Retry_After="0.3")) as (there, seen):
        Server(there, model="tiny-1", **QUICK).ready()
    assert seen[1][0] - seen[0][0] >= 0.29


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422, 301])
def test_what_will_not_pass_is_told_at_once_in_the_servers_words(url, code):
    with troubled(url, *[status(code, Location="http://elsewhere/")] * 3) as (there, seen):
        with pytest.raises(BadInput, match=rf"HTTP {code}\): in trouble"):
            Server(there, model="tiny-1", **QUICK).ready()
        assert len(seen) == 1


WRONG = {
    "no choices": {},
    "a list": [],
    "no prompt_logprobs": {"choices": [{"text": "a"}]},  # transformers serve
    "null": {"choices": [{"prompt_logprobs": None}]},  # llama.cpp
    "too few": {"choices": [{"prompt_logprobs": [None]}]},
    "shifted": {"choices": [{"prompt_logprobs": [{"0": {"logprob": -1.0}}, None]}]},
    "no object": {"choices": [{"prompt_logprobs": [None, [1, 2]]}]},
    "no numbers": {"choices": [{"prompt_logprobs": [None, {"0": {"logprob": "high"}}]}]},
    "strings for ids": {"choices": [{"prompt_logprobs": [None, {"the": {"logprob": -1.0}}]}]},
    "another token": {"choices": [{"prompt_logprobs": [None, {"7": {"logprob": -1.0}}]}]},
    "too few alternatives": {"choices": [{"prompt_logprobs": [None, {"0": {"logprob": -1.0}}]}]},
    "no distribution": {"choices": [{"prompt_logprobs": [None, {"0": {"logprob": -0.1}, "1": {"logprob": -0.2}}]}]},
    "positive": {"choices": [{"prompt_logprobs": [None, {"0": {"logprob": 0.5}, "1": {"logprob": -9.0}}]}]},
    "no number": {"choices": [{"prompt_logprobs": [None, {"0": {"logprob": None}, "1": {"logprob": -9.0}}]}]},
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_of_another_shape_is_refused(name):
    def read():
        (told,) = entries(WRONG[name], [[0, 0]], "teacher.url")
        return likeliest(told[1], 0, 2, 300, "teacher.url")

    with pytest.raises(BadInput, match="vLLM"):
        read()


def test_vllms_recorded_answer_is_read():
    """k entries where the token is among the likeliest, k + 1 where it is not."""
    entry = {
        "12": {"logprob": -0.51, "rank": 1, "decoded_token": " the"},
        "40": {"logprob": -1.25, "rank": 2, "decoded_token": " a"},
        "7": {"logprob": -9.5, "rank": 212, "decoded_token": "x"},
    }
    answer = {"choices": [{"index": 0, "text": "!", "prompt_logprobs": [None, entry]}]}
    (told,) = entries(answer, [[3, 7]], "teacher.url")
    assert likeliest(told[1], 7, 2, 300, "teacher.url") == ([12, 40], [-0.51, -1.25])


def test_a_token_beyond_the_shared_vocabulary_names_its_remedy():
    entry = {"299": {"logprob": -0.5}, "300": {"logprob": -1.0}}
    with pytest.raises(BadInput, match=r"token 300.*teacher\.tokenizer"):
        likeliest(entry, 299, 2, 300, "teacher.url")


def test_questions_are_no_more_than_wanted_a_second(url):
    wire = Wire("u", url, 5, 0, per_second=50)
    begun = time.monotonic()
    for _ in range(6):
        wire.ask("/v1/models")
    assert time.monotonic() - begun >= 0.099


def test_a_key_is_sent_and_never_in_the_config(url, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "very-secret")
    with troubled(url) as (there, seen):
        Server(there, model="tiny-1", key_variable="SOME_KEY", **QUICK).ready()
    assert {key for _, key in seen} == {"Bearer very-secret"}
    with pytest.raises(BadInput, match="no environment variable that is set"):
        Server(url, key_variable="NOT_SET_ANYWHERE")


@pytest.mark.parametrize("wrong", ["localhost:8000", "ftp://x", "http://", "http://user:password@host:1"])
def test_an_address_that_is_none_is_refused(wrong):
    with pytest.raises(BadInput, match=r"teacher\.url"):
        Server(wrong)


def test_answers_in_another_order_belong_to_their_questions(url):
    """Four at a time: each sample has its own answer."""
    many, one = (known(Server(url, k=5, concurrency=count, **QUICK)) for count in (4, 1))
    given = batch(5, rows=12)
    rows = slice(0, given.tokens)
    assert all(map(torch.equal, many.teach(given, Request()).chunk(rows), one.teach(given, Request()).chunk(rows)))


# ------------------------------------------------------------------------------------------------------- only words


def test_words_alone(url):
    teacher = Text(url, chat=False, **QUICK)
    said = teacher.write(["The fox", "A student"], 4)
    assert len(said) == 2
    assert said == teacher.write(["The fox", "A student"], 4)
    assert teacher.provides == frozenset({"text"})
    assert teacher.teach(batch(0), Request()) is None


def test_words_that_are_none_are_refused(url):
    with pytest.raises(BadInput, match="no chat template"):
        Text(url, **QUICK).write(["hello"], 2)
    empty = troubled(url, lambda handler: handler._answer(200, b'{"choices": []}'))
    with empty as (there, _), pytest.raises(BadInput, match=r"no text at choices"):
        Text(there, chat=False, **QUICK).write(["hello"], 2)


def test_it_is_frozen_as_any_signal(server):
    signal = server.teach(batch(0), Request())
    with pytest.raises(dataclasses.FrozenInstanceError):
        signal.vocabulary = 1  # type: ignore[misc]
