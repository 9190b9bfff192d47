"""A runner that answers requests one after the other: log-probabilities of prompts, and continuations.

Left out on purpose: batching requests. One model on one machine answers them in turn; whoever needs throughput runs
vLLM, which the same clients can talk to.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from distill.export.runner import Runner
from distill.export.speaker import UNFINISHED, log_softmax
from distill.serving.asked import Sampling
from distill.serving.refusal import Refusal

ROWS = 64
"""Positions whose log-probabilities exist at once, in float64."""


@dataclass(frozen=True)
class Alternatives:
    """A token that was there and what else there might have been.

    Attributes:
        token: the one.
        logprob: of it.
        rank: how many are as likely or likelier; 1 for the likeliest.
        top: (id, log-probability) of the likeliest, in order.
    """

    token: int
    logprob: float
    rank: int
    top: tuple[tuple[int, float], ...]


class Engine:
    """One model, asked by many threads.

    Args:
        name: what clients call it.
        runner: the model or file.
        tokenizer: its own.
        cap: the most alternatives that are told of a token; -1 for all.
    """

    def __init__(self, name: str, runner: Runner, tokenizer: PreTrainedTokenizerBase, cap: int = 20) -> None:
        self.name, self.runner, self.tokenizer, self.cap = name, runner, tokenizer, cap
        self.lock = threading.Lock()

    @property
    def limit(self) -> int | None:
        """Tokens of prompt and answer at most."""
        return self.runner.positions

    def ids(self, text: str, special: bool = True) -> list[int]:
        """A text's tokens."""
        told: Any = self.tokenizer(text, add_special_tokens=special)["input_ids"]
        return [int(token) for token in told]

    def conversation(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """A conversation's tokens, up to where the answer begins.

        Raises:
            Refusal: the model was made for no conversations, or its template refuses this one.
        """
        if not isinstance(self.tokenizer.chat_template, str):
            raise Refusal(400, "this model's tokenizer has no chat template; use /v1/completions")
        try:
            told: Any = self.tokenizer.apply_chat_template(
                list(messages), add_generation_prompt=True, return_dict=False
            )
        except Exception as problem:  # a template is a program of a stranger's, and says in its own way what it refuses
            raise Refusal(400, f"the chat template refuses these messages ({problem})") from None
        return [int(token) for token in told]

    def text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids)))

    def check(self, ids: Sequence[int], length: int) -> None:
        """Refuse, with 400, ids that are none and what does not fit the model's positions."""
        if not ids:
            raise Refusal(400, "Either prompt or prompt_embeds must be provided and non-empty.")
        if min(ids) < 0 or max(ids) >= self.runner.vocabulary:
            raise Refusal(400, f"Token id {min(ids) if min(ids) < 0 else max(ids)} is out of vocabulary")
        if self.limit is not None and len(ids) + length > self.limit:
            said = f"This model's maximum context length is {self.limit} tokens. However, you requested "
            raise Refusal(
                400, f"{said}{len(ids) + length} tokens ({len(ids)} in the prompt, {length} in the completion)."
            )

    def heard(self, ids: Sequence[int], top: int) -> list[Alternatives | None]:
        """Every token of a prompt in the light of those before it; None for the first.

        Args:
            top: alternatives of each; -1 for all.
        """
        with self.lock:
            self.runner.restart()
            logits = self.runner.read(ids)  # (S, V)
        found: list[Alternatives | None] = [None]
        for start in range(0, len(ids) - 1, ROWS):
            stop = min(start + ROWS, len(ids) - 1)
            log_p = log_softmax(logits[start:stop])
            found += [_alternatives(row, ids[start + 1 + i], top) for i, row in enumerate(log_p)]
        return found

    def spoken(self, ids: Sequence[int], sampling: Sampling, top: int = 0) -> Iterator[Alternatives]:
        """The continuation, token by token, up to the end of text. The model is held until it is done or closed."""
        chance = np.random.default_rng(sampling.seed)
        with self.lock:
            self.runner.restart()
            given = list(ids)
            for _ in range(sampling.length):
                log_q = log_softmax(self.runner.read(given, last=True)[-1])
                token = _taken(log_q, sampling.temperature, chance)
                yield _alternatives(log_q, token, top)
                if token == self.tokenizer.eos_token_id:
                    return
                given = [token]

    def whole(self, said: Sequence[Alternatives]) -> str:
        """A continuation's text, without the end of text."""
        ids = [one.token for one in said if one.token != self.tokenizer.eos_token_id]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    def pieces(self, said: Iterator[Alternatives]) -> Iterator[str]:
        """What becomes readable with each token; never half a character."""
        told: list[int] = []
        shown = ""
        for one in said:
            if one.token == self.tokenizer.eos_token_id:
                return
            told.append(one.token)
            text = str(self.tokenizer.decode(told, skip_special_tokens=True))
            if not text.endswith(UNFINISHED):
                yield text[len(shown) :]
                shown = text


def _alternatives(log_p: np.ndarray, token: int, top: int) -> Alternatives:
    count = log_p.size if top < 0 else min(top, log_p.size)
    best = np.argsort(-log_p, kind="stable")[:count]
    listed = tuple((int(one), float(log_p[one])) for one in best)
    return Alternatives(token, float(log_p[token]), int((log_p >= log_p[token]).sum()), listed)


def _taken(log_q: np.ndarray, temperature: float, chance: np.random.Generator) -> int:
    if temperature == 0:
        return int(log_q.argmax())
    return int((log_q / temperature + chance.gumbel(size=log_q.shape)).argmax())  # a sample of the softmax
