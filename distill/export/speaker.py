"""A runner that speaks: a prompt becomes ids, ids become text as they come, and what was thought of each is kept.

With a chat template the whole conversation is shown to the model; without one a prompt is a text that it continues, and
nothing of before is. Left out on purpose: sampling tricks (top-k, nucleus, penalties). The point is to hear the model.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from distill.export.runner import Runner

UNFINISHED = "\ufffd"
"""What a tokenizer shows for a character whose last bytes are still to come."""


@dataclass(frozen=True)
class Said:
    """One token of an answer.

    Attributes:
        token: its id.
        text: that became readable with it; empty inside a character.
        log_q: (V,) the log-probabilities that it was taken from, at temperature 1.
    """

    token: int
    text: str
    log_q: np.ndarray


@dataclass(frozen=True)
class Turn:
    """A prompt and what was answered: all that is needed to think about it again."""

    prompt: list[int]
    said: list[Said]


class Speaker:
    """Answers prompts with one model.

    Args:
        name: shown before its answers, where there are several.
        runner: the model or file.
        tokenizer: its own.
        system: what a chat template is told first; ignored without a template.
        temperature: 0 takes the likeliest token.
        seed: of the sampling.
    """

    def __init__(
        self,
        name: str,
        runner: Runner,
        tokenizer: PreTrainedTokenizerBase,
        system: str | None = None,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.name, self.runner, self.tokenizer = name, runner, tokenizer
        self.temperature, self.chance = temperature, np.random.default_rng(seed)
        self.messages = [{"role": "system", "content": system}] if system else []
        self.begun = len(self.messages)
        self.last: Turn | None = None

    @property
    def chats(self) -> bool:
        """Whether it was made for conversations."""
        return isinstance(self.tokenizer.chat_template, str)

    def answer(self, prompt: str, length: int) -> Generator[str]:
        """The answer, piece by piece; at most ``length`` tokens, fewer where the model ends or has no more positions.

        An answer that is broken off (the iterator is closed) counts as far as it went.
        """
        ids = self._ids(prompt, length)
        self.last = turn = Turn(ids, [])
        try:
            for said in self._spoken(ids, self._room(ids, length)):
                turn.said.append(said)
                if said.text:
                    yield said.text
        finally:
            if self.chats:
                whole = "".join(said.text for said in turn.said)
                self.messages.append({"role": "assistant", "content": whole})

    def _ids(self, prompt: str, length: int) -> list[int]:
        """The prompt as the model reads it; the oldest of a conversation is dropped where it does not fit."""
        if not self.chats:
            plain: Any = self.tokenizer(prompt).input_ids
            return [int(token) for token in plain] or [0]
        self.messages.append({"role": "user", "content": prompt})
        while True:
            told: Any = self.tokenizer.apply_chat_template(self.messages, add_generation_prompt=True, return_dict=False)
            ids = [int(token) for token in told]
            if self.runner.positions is None or len(ids) + length <= self.runner.positions or self._shortest:
                return ids
            del self.messages[self.begun : self.begun + 2]

    @property
    def _shortest(self) -> bool:
        """Whether nothing but the last prompt is left."""
        return len(self.messages) <= self.begun + 1

    def _room(self, ids: list[int], length: int) -> int:
        return length if self.runner.positions is None else max(0, min(length, self.runner.positions - len(ids)))

    def _spoken(self, ids: Sequence[int], length: int) -> Iterator[Said]:
        self.runner.restart()
        told, shown, given = [], "", list(ids)
        for _ in range(length):
            log_q = log_softmax(self.runner.read(given, last=True)[-1])
            token = self._taken(log_q)
            if token == self.tokenizer.eos_token_id:
                return
            told.append(token)
            text = str(self.tokenizer.decode(told, skip_special_tokens=True))
            readable = "" if text.endswith(UNFINISHED) else text[len(shown) :]
            shown = shown if text.endswith(UNFINISHED) else text
            yield Said(token, readable, log_q)
            given = [token]

    def _taken(self, log_q: np.ndarray) -> int:
        if self.temperature == 0:
            return int(log_q.argmax())
        noise = self.chance.gumbel(size=log_q.shape)  # argmax of log q / T + Gumbel noise is a sample of softmax
        return int((log_q / self.temperature + noise).argmax())


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """(…, V) float64, of finite logits or −inf."""
    wide = logits.astype(np.float64)
    wide = wide - wide.max(-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(-1, keepdims=True))


def thought(runner: Runner, turn: Turn) -> np.ndarray:
    """(A, V) what another model of the same tokens thinks at each token of an answer, log-probabilities."""
    runner.restart()
    ids = [*turn.prompt, *(said.token for said in turn.said[:-1])]
    return log_softmax(runner.read(ids)[len(turn.prompt) - 1 :])
