"""No planted secret survives, and no setting that only looks like one is hidden: F3 of what must not break."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.secrets import HIDDEN, is_secret, redacted, redacted_command, redacted_text

CANARY = "canary-9f8e7d6c5b4a"
ENVIRONMENT = {
    "WANDB_API_KEY": "wandbkey0123456789",
    "HF_TOKEN": "hf-environment-token",
    "AWS_SECRET_ACCESS_KEY": "awssecretvalue1",
    "https_proxy": "http://user:proxypassword@proxy:3128",
    "HOME": "/home/somebody",
    "SHORT_TOKEN": "1",
}
CANARIES = {
    "config key": {"wandb": {"api_key": CANARY}},
    "camel case": {"wandbApiKey": CANARY},
    "dashes": {"headers": {"X-Auth-Token": CANARY, "api-key": CANARY}},
    "bare token": {"teacher": {"token": CANARY}},
    "hub token": {"teacher": {"hub_token": CANARY}},
    "list": {"passwords": None, "secret": [CANARY, CANARY]},
    "nested": {"credentials": {"user": CANARY, "more": [{"x": CANARY}]}},
    "user info": {"data": {"path": f"s3://me:{CANARY}@bucket/x"}},
    "git remote": {"source": {"remote": f"https://{CANARY}@github.com/org/repo.git"}},
    "query": {"teacher": {"url": f"https://host/v1?model=m&token={CANARY}&k=3"}},
    "exception": {"reason": f"401 for url https://host?api_key={CANARY} (Authorization: Bearer {CANARY})"},
    "command": {"command": ["distill", "train", f"teacher.api_key={CANARY}"]},
}
LOOK_ALIKES = {
    "num_memory_tokens": 4,
    "use_cls_token": True,
    "tokenizer": "bpe",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "tokens_per_second": 3.5,
    "key_value_heads": 2,
    "num_key_value_heads": 2,
    "max_new_tokens": 64,
    "token_wise": "yes",
    "author": "somebody",
    "monkey": "banana",
    "keyboard": "qwerty",
    "secretary": "name",
    "path": "/home/somebody/secrets.txt",
    "hash": "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0",
}


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_is_hidden(name: str) -> None:
    assert CANARY not in json.dumps(redacted(CANARIES[name], environment={}))


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_in_a_text_is_hidden(name: str) -> None:
    if name in ("list", "nested"):
        return  # what stands below a key is only known in a container
    assert CANARY not in redacted_text(json.dumps(CANARIES[name]), environment={})
    assert CANARY not in redacted_text(str(CANARIES[name]), environment={})


@pytest.mark.parametrize("secret", ["wandbkey0123456789", "hf-environment-token", "awssecretvalue1", "proxypassword"])
def test_a_value_of_the_environment_is_hidden_wherever_it_stands(secret: str) -> None:
    told = {"name": f"run-{secret}", "list": [f"x={secret}"], "text": f"said user:{secret} twice {secret}"}
    assert secret not in json.dumps(redacted(told, environment=ENVIRONMENT))
    assert secret not in redacted_text(f"failed with {secret}", ENVIRONMENT) or secret == "proxypassword"
    assert redacted("/home/somebody/1", environment=ENVIRONMENT) == "/home/somebody/1"


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_a_look_alike_is_left_alone(name: str) -> None:
    assert redacted({name: LOOK_ALIKES[name]}, environment={}) == {name: LOOK_ALIKES[name]}
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (f"wandb.api_key={CANARY}", f"wandb.api_key={HIDDEN}"),
        (f"+wandb.api_key={CANARY},other{CANARY}", f"+wandb.api_key={HIDDEN}"),
        (f"logger={{api_key:{CANARY}}}", f"logger={{api_key:{HIDDEN}}}"),
        (f"teacher.url=https://me:{CANARY}@host/v1", f"teacher.url=https://{HIDDEN}@host/v1"),
        ("seed=1", "seed=1"),
        ("student.num_memory_tokens=4", "student.num_memory_tokens=4"),
    ],
)
def test_a_command_line(word: str, told: str) -> None:
    assert redacted_command([word], {}) == [told]


def test_issued_tokens_are_known_by_their_prefix() -> None:
    for token in ("hf_abcdefghijklmnopqrstuv", "ghp_abcdefghijklmnopqrst0123", "sk-proj-abcdefghijklmnop0123"):
        assert token not in redacted_text(f"used {token}.", {})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "layers", "width"]), inner),
    )
)
def test_what_holds_no_secret_is_unchanged(value: object) -> None:
    assert redacted(value, environment={}) == value
