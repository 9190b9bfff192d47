"""What ``distill serve`` answers: the numbers of the model, in vLLM's shape, to this machine alone."""

import http.client
import json
import math

import pytest
import torch

from distill.export.torch_runner import TorchRunner
from distill.serving.asked import Sampling
from distill.serving.engine import Engine
from distill.serving.server import Server

PROMPT = [5, 17, 40, 17, 3]


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama(width=16).eval()


@pytest.fixture(scope="module")
def server(model, tokenizer):
    with (made := Server(Engine("tiny", TorchRunner(model, 300), tokenizer, cap=20))).running():
        yield made


def send(server, method, path, body=None, **headers):
    """(status, headers, bytes) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    data = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    told = answer.read()
    connection.close()
    return answer.status, answer.headers, told


def asked(server, path="/v1/completions", **body):
    status, _, told = send(server, "POST", path, body)
    return status, json.loads(told)


@pytest.fixture(scope="module")
def log_p(model):
    with torch.no_grad():
        return model(input_ids=torch.tensor([PROMPT])).logits[0].double().log_softmax(-1)


def test_prompt_logprobs_are_the_models(server, log_p):
    status, told = asked(server, prompt=PROMPT, max_tokens=1, prompt_logprobs=4)
    assert status == 200
    entries = told["choices"][0]["prompt_logprobs"]
    assert entries[0] is None
    assert len(entries) == len(PROMPT)
    for position, entry in enumerate(entries[1:]):
        expected = log_p[position]
        token = PROMPT[position + 1]
        best = expected.topk(4).indices.tolist()
        assert list(map(int, entry))[:4] == best
        assert set(map(int, entry)) == {*best, token}
        assert entry[str(token)]["rank"] == int((expected >= expected[token]).sum())
        for one, facts in entry.items():
            assert facts["logprob"] == pytest.approx(float(expected[int(one)]), abs=1e-5)
            assert set(facts) == {"logprob", "rank", "decoded_token"}


def test_new_tokens_are_the_likeliest_and_named_by_id(server, log_p):
    wanted = {"max_tokens": 3, "temperature": 0, "logprobs": 2, "return_tokens_as_token_ids": True}
    _, told = asked(server, prompt=PROMPT, **wanted)
    choice = told["choices"][0]
    first = int(log_p[-1].argmax())
    assert choice["logprobs"]["tokens"][0] == f"token_id:{first}"
    assert choice["logprobs"]["token_logprobs"][0] == pytest.approx(float(log_p[-1, first]), abs=1e-5)
    assert len(choice["logprobs"]["top_logprobs"][0]) == 2
    assert choice["prompt_logprobs"] is None
    assert choice["finish_reason"] == "length"
    assert told["usage"] == {"prompt_tokens": 5, "total_tokens": 8, "completion_tokens": 3}


def test_the_answer_has_the_recorded_shape(server):
    _, told = asked(server, prompt=PROMPT, max_tokens=1, logprobs=1, prompt_logprobs=1)
    assert set(told) >= {"id", "object", "created", "model", "choices", "usage"}
    assert set(told["choices"][0]) >= {"index", "text", "logprobs", "finish_reason", "stop_reason", "prompt_logprobs"}
    assert set(told["choices"][0]["logprobs"]) == {"text_offset", "token_logprobs", "tokens", "top_logprobs"}


def test_several_prompts_texts_and_seeds(server, tokenizer):
    _, told = asked(server, prompt=["The fox", "A student"], max_tokens=4, seed=3)
    assert [one["index"] for one in told["choices"]] == [0, 1]
    _, again = asked(server, prompt=["The fox", "A student"], max_tokens=4, seed=3)
    assert [one["text"] for one in told["choices"]] == [one["text"] for one in again["choices"]]
    _, tokens = asked(server, "/tokenize", prompt="The fox", add_special_tokens=False)
    assert tokens["tokens"] == tokenizer("The fox")["input_ids"]
    assert tokens["count"] == len(tokens["tokens"])


def test_a_draw_follows_the_distribution(server, log_p):
    expected = (log_p[-1] / 0.02).softmax(-1)
    counts = [0] * 300
    for seed in range(300):
        (said,) = server.engine.spoken(PROMPT, Sampling(1, 0.02, seed))
        counts[said.token] += 1
    distance = 0.5 * sum(abs(count / 300 - float(p)) for count, p in zip(counts, expected, strict=True))
    assert distance < 0.15


def test_models_says_what_clients_need(server):
    _, _, told = send(server, "GET", "/v1/models")
    (one,) = json.loads(told)["data"]
    assert (one["id"], one["max_model_len"]) == ("tiny", 128)
    assert send(server, "GET", "/health")[0] == 200


def events(told: bytes) -> list[str]:
    return [line.removeprefix("data: ") for line in told.decode().split("\n\n") if line]


def test_a_stream_says_the_same_piece_by_piece(server):
    _, told = asked(server, prompt="The fox", max_tokens=6, temperature=0)
    _, headers, streamed = send(
        server, "POST", "/v1/completions", {"prompt": "The fox", "max_tokens": 6, "temperature": 0, "stream": True}
    )
    *pieces, end = events(streamed)
    assert headers["Content-Type"] == "text/event-stream"
    assert end == "[DONE]"
    said = "".join(json.loads(piece)["choices"][0]["text"] for piece in pieces)
    assert told["choices"][0]["text"].startswith(said)  # what never becomes readable is not streamed
    assert json.loads(pieces[-1])["choices"][0]["finish_reason"] == "length"


def test_conversations_need_a_template_and_then_go(model, tokenizer):
    import copy

    chatting = copy.deepcopy(tokenizer)
    chatting.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "
    messages = [{"role": "user", "content": "The fox"}]
    with (made := Server(Engine("chat", TorchRunner(model, 300), chatting))).running():
        _, told = asked(made, "/v1/chat/completions", messages=messages, max_tokens=3, temperature=0)
        body = {"messages": messages, "max_tokens": 3, "temperature": 0, "stream": True}
        _, _, streamed = send(made, "POST", "/v1/chat/completions", body)
    assert told["choices"][0]["message"]["role"] == "assistant"
    assert told["usage"]["completion_tokens"] == 3
    *pieces, end = events(streamed)
    assert end == "[DONE]"
    assert json.loads(pieces[0])["choices"][0]["delta"]["role"] == "assistant"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"prompt": PROMPT, "prompt_logprobs": 21}, "greater than max allowed: 20"),
        ({"prompt": PROMPT, "logprobs": 21}, "greater than max allowed: 20"),
        ({"prompt": PROMPT, "prompt_logprobs": -1}, "greater than max allowed: 20"),
        ({"prompt": PROMPT, "max_tokens": 0}, "at least 1"),
        ({"prompt": PROMPT, "max_tokens": 124}, "maximum context length is 128"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [300]}, "out of vocabulary"),
        ({"prompt": [-1]}, "out of vocabulary"),
        ({"prompt": [1.5]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({}, "prompt"),
        ({"prompt": PROMPT, "temperature": -1}, "temperature"),
        ({"prompt": PROMPT, "temperature": math.inf}, "temperature"),
        ({"prompt": PROMPT, "seed": "x"}, "seed"),
        ({"prompt": PROMPT, "top_p": 0.9}, "top_p"),
        ({"prompt": PROMPT, "n": 2}, "n: only 1"),
        ({"prompt": PROMPT, "echo": True}, "echo"),
        ({"prompt": PROMPT, "logporbs": 3}, "logporbs"),
        ({"prompt": PROMPT, "stream": True, "prompt_logprobs": 1}, "stream"),
        ({"prompt": PROMPT, "stream": "yes"}, "stream"),
    ],
)
def test_what_would_be_half_obeyed_is_refused(server, body, said):
    status, told = asked(server, **body)
    assert status == 400
    assert said in told["error"]["message"]
    assert told["error"]["code"] == 400


@pytest.mark.parametrize(
    ("body", "status"), [("{", 400), ("[1]", 400), (b"\xff", 400), ("[" * 50_000, 400), (None, 400), ("", 400)]
)
def test_a_body_that_is_no_question_is_refused(server, body, status):
    assert send(server, "POST", "/v1/completions", body)[0] == status


def test_another_model_or_path_is_not_found(server):
    assert asked(server, prompt=PROMPT, model="other")[0] == 404
    assert send(server, "GET", "/v1/completions")[0] == 404
    assert send(server, "POST", "/generate", {})[0] == 404
    assert asked(server, "/v1/chat/completions", messages=[{"role": "user", "content": "a"}])[0] == 400
    assert asked(server, "/v1/chat/completions", messages=[{"role": "user"}])[0] == 400
    assert asked(server, "/tokenize", prompt=3)[0] == 400


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::2]:1", "0.0.0.0"]
)
def test_a_foreign_name_is_refused(server, host):
    """F6: a page whose name was rebound to 127.0.0.1 sends its own name along."""
    assert send(server, "GET", "/v1/models", Host=host)[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "[::1]:8000", "[::1]"])
def test_this_machines_names_are_its_own(server, host):
    assert send(server, "GET", "/v1/models", Host=host)[0] == 200


def test_a_page_cannot_ask_in_a_form(server):
    """A foreign page may send text/plain unasked; JSON it may not."""
    headers = {"Content-Type": "text/plain"}
    assert send(server, "POST", "/v1/completions", json.dumps({"prompt": PROMPT}), **headers)[0] == 400
    assert "Access-Control-Allow-Origin" not in send(server, "GET", "/v1/models")[1]


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"


def test_a_body_too_large_is_not_read(server):
    assert send(server, "POST", "/v1/completions", "", **{"Content-Length": str(1 << 40)})[0] == 413


def test_one_bad_request_does_not_end_the_server(server):
    for body in ("{", {"prompt": [999]}, {"prompt": PROMPT, "max_tokens": 1}):
        status, _, _ = send(server, "POST", "/v1/completions", body)
    assert status == 200
