"""What is streamed is the answer, whole characters at a time; a conversation is what the template makes of it."""

import copy

import numpy as np
import pytest

from distill.export.runner import Runner
from distill.export.speaker import Speaker, log_softmax, thought
from distill.export.torch_runner import TorchRunner

TEMPLATE = (
    "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
)


class Script(Runner):
    """Says given ids in order, whatever it reads, and remembers what it read."""

    def __init__(self, ids, positions=None):
        self.ids, self.positions, self.vocabulary, self.heard = list(ids), positions, 300, []
        self.restart()

    def restart(self):
        self.at = 0

    def read(self, ids, last=False):
        self.heard.append(list(ids))
        logits = np.zeros((1, self.vocabulary), np.float32)
        logits[0, self.ids[self.at % len(self.ids)]] = 9
        self.at += 1
        return logits


def test_pieces_are_whole_characters_and_join_to_the_answer(tokenizer):
    text = " naïve 日本語 fox"
    ids = tokenizer(text).input_ids
    speaker = Speaker("student", Script([*ids, 0]), tokenizer)
    pieces = list(speaker.answer("The", 80))
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)
    assert [said.token for said in speaker.last.said] == ids


def test_it_ends_at_its_length_and_at_its_last_position(tokenizer):
    assert len(list(Speaker("s", Script([40]), tokenizer).answer("The", 5))) == 5
    prompt = len(tokenizer("The").input_ids)
    assert len(list(Speaker("s", Script([40], positions=prompt + 3), tokenizer).answer("The", 50))) == 3
    assert list(Speaker("s", Script([40], positions=1), tokenizer).answer("The quick brown", 50)) == []


def test_without_a_template_each_prompt_stands_alone(tokenizer):
    script = Script([40, 0])
    speaker = Speaker("s", script, tokenizer)
    for prompt in ("one", "two"):
        list(speaker.answer(prompt, 4))
    assert [tokenizer("one").input_ids, tokenizer("two").input_ids] == [ids for ids in script.heard if len(ids) > 1]


def test_with_a_template_the_conversation_is_told_and_the_oldest_is_dropped(tokenizer):
    chatty = copy.deepcopy(tokenizer)
    chatty.chat_template = TEMPLATE
    script = Script([*tokenizer("fox").input_ids, 0])
    speaker = Speaker("s", script, chatty, system="be")
    for prompt in ("one", "two"):
        list(speaker.answer(prompt, 4))
    told = [chatty.decode(ids) for ids in script.heard if len(ids) > 4]
    assert told[1] == "system:be\nuser:one\nassistant:fox\nuser:two\na:"
    script.positions = len(script.heard[-1]) + len(chatty("system:be\nuser:three\na:").input_ids) + 4
    list(speaker.answer("three", 4))
    kept = [message["content"] for message in speaker.messages]
    assert kept[0] == "be"
    assert "one" not in kept
    assert kept[-2:] == ["three", "fox"]


def test_temperature_samples_by_its_seed(sharp, tokenizer):
    runner = TorchRunner(sharp(width=16).model, 300)
    written = [
        "".join(Speaker("s", runner, tokenizer, temperature=heat, seed=seed).answer("The", 12))
        for heat, seed in ((0.0, 0), (0.0, 1), (5.0, 0), (5.0, 0), (5.0, 1))
    ]
    assert written[0] == written[1]
    assert written[2] == written[3]
    assert len({written[0], written[2], written[4]}) == 3


def test_what_another_thinks_is_at_the_same_places(sharp, tokenizer):
    runner = TorchRunner(sharp().model, 300)
    speaker = Speaker("s", runner, tokenizer)
    list(speaker.answer("The quick", 6))
    found = thought(runner, speaker.last)
    own = np.stack([said.log_q for said in speaker.last.said])
    assert np.abs(found - own).max() < 1e-3
    assert np.exp(found).sum(-1) == pytest.approx(1.0)


def test_log_softmax_of_minus_infinity():
    found = log_softmax(np.array([0.0, -np.inf, 0.0], np.float32))
    assert found[1] == -np.inf
    assert np.exp(found).sum() == pytest.approx(1.0)
