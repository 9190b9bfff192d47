"""Texts of a model behind HTTP: what is asked for, and what is read out of the answer.

``/v1/completions`` and ``/v1/chat/completions`` as OpenAI, vLLM and distill serve have them. Left out on purpose:
several candidates of one question (``n``), whose draws would hang together; tools; streams.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from distill.errors import BadInput
from distill.teachers.author import Ask, Writing
from distill.teachers.wire import Refused, Wire

SHAPE = "is it an OpenAI-compatible server? chat=false asks for completions"


class Speaking:
    """Asks for texts, several at the same time.

    Args:
        wire: to the server.
        pool: as many questions at once as it has threads.
        told: how likely each token was is asked for too, and an answer without it is refused.
    """

    def __init__(self, wire: Wire, pool: ThreadPoolExecutor, told: bool) -> None:
        self.wire, self.pool, self.told = wire, pool, told

    def __call__(
        self, prompts: Sequence[str], ask: Ask, seeds: Sequence[int], named: Mapping[str, str]
    ) -> list[Writing]:
        """A text after each prompt, in their order.

        Args:
            ask: its temperature, ``top_p``, length, ``chat`` and ``system``; the rest is not a server's to obey.
            seeds: one a prompt, where the server honours one.
            named: the model, if it has to be named.

        Raises:
            BadInput: the server refuses, or answers in another shape.
            ResourceStop: it did not answer.
        """
        bodies = [{**named, **self._body(prompt, ask, seed)} for prompt, seed in zip(prompts, seeds, strict=True)]
        return list(self.pool.map(self._chatted if ask.chat else self._completed, bodies))

    def _body(self, prompt: str, ask: Ask, seed: int) -> dict[str, Any]:
        plain: dict[str, Any] = {"max_tokens": ask.new_tokens, "temperature": ask.temperature, "seed": seed}
        plain |= {"top_p": ask.top_p} if ask.top_p != 1 else {}
        if not ask.chat:
            return {**plain, "prompt": prompt, **({"logprobs": 0} if self.told else {})}
        system = [{"role": "system", "content": ask.system}] if ask.system else []
        messages = [*system, {"role": "user", "content": prompt}]
        return {**plain, "messages": messages, **({"logprobs": True} if self.told else {})}

    def _chatted(self, body: dict[str, Any]) -> Writing:
        choice, count = self._asked("/v1/chat/completions", body)
        content = _at(choice, "logprobs", "content")
        nats = [_at(one, "logprob") for one in content] if isinstance(content, list) else None
        return self._read(_at(choice, "message", "content"), choice, count, nats, "message.content")

    def _completed(self, body: dict[str, Any]) -> Writing:
        choice, count = self._asked("/v1/completions", body)
        return self._read(_at(choice, "text"), choice, count, _at(choice, "logprobs", "token_logprobs"), "text")

    def _asked(self, path: str, body: dict[str, Any]) -> tuple[Any, Any]:
        """(the first choice, tokens written)."""
        try:
            answer = self.wire.ask(path, body)
        except Refused as refusal:
            if self.told and "logprob" in refusal.said:
                raise self._silent(refusal.said) from None
            raise
        choices = _at(answer, "choices")
        return (choices[0] if isinstance(choices, list) and choices else None), _at(
            answer, "usage", "completion_tokens"
        )

    def _read(self, text: object, choice: object, count: object, logs: object, place: str) -> Writing:
        if not isinstance(text, str):
            raise BadInput(self.wire.place, f"the server's answer has no text at choices[0].{place}", remedy=SHAPE)
        ended = _at(choice, "finish_reason") != "length"
        if not self.told:
            return Writing(text, count if isinstance(count, int) else 0, math.nan, ended)
        if not isinstance(logs, list) or not all(isinstance(one, (int, float)) and one <= 0 for one in logs):
            raise self._silent("its answers have no log-probabilities")
        return Writing(text, len(logs), -math.fsum(logs), ended)

    def _silent(self, said: str) -> BadInput:
        reason = f"does not tell how likely what it writes is ({said})"
        return BadInput(self.wire.place, reason, remedy="use teacher=text, which asks for words alone")


def _at(found: Any, *path: str) -> Any:
    """What is there, through objects; None if there is no such thing."""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found
