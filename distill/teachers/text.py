"""A black box: a model behind HTTP of which only its words are heard.

It has nothing to say about a given text, so no training step can ask it; what it writes is data. Objectives that want
more are refused before anything is loaded. Left out on purpose: tools, images, and providers whose answers are not of
OpenAI's shape.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, ClassVar

from distill.errors import BadInput
from distill.ranges import Count, Natural, NonNegative, Positive
from distill.teachers.spoken_author import SpokenAuthor
from distill.teachers.teacher import Teacher
from distill.teachers.wire import Wire
from distill.types import Batch, Request

PLACE = "teacher.url"


class Text(Teacher):
    """Only words, from an OpenAI-compatible server: any provider, vLLM, distill serve.

    Args:
        url: of the server, without ``/v1``.
        model: its name there.
        chat: prompts are messages of a conversation; otherwise beginnings of texts.
        system: what a conversation begins with; null for nothing.
        temperature: 0 takes the likeliest token.
        timeout: seconds that the server may be silent.
        retries: further tries of a question.
        pause: seconds before the second try; doubled each time.
        concurrency: questions at the same time.
        requests_per_second: over all of them; null for no limit.
        key_variable: the environment variable with the server's key; null for none.

    Raises:
        BadInput: the address cannot be used.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(
        self,
        url: str,
        model: str | None = None,
        chat: bool = True,
        system: str | None = None,
        temperature: NonNegative = 0.0,
        timeout: Positive = 120.0,
        retries: Natural = 5,
        pause: Positive = 0.5,
        concurrency: Count = 4,
        requests_per_second: Positive | None = None,
        key_variable: str | None = None,
    ) -> None:
        self.wire = Wire(PLACE, url, timeout, retries, pause, requests_per_second, key_variable)
        self.chat, self.system, self.temperature = chat, system, temperature
        self.pool = ThreadPoolExecutor(concurrency, thread_name_prefix="asking")
        self._model = model

    def teach(self, batch: Batch, request: Request) -> None:
        return None

    def write(self, prompts: Sequence[str], new_tokens: int, seed: int = 0) -> list[str]:
        """What it answers to each prompt, in their order.

        Args:
            new_tokens: of an answer at most, in its own tokens.
            seed: of the draws, where the server honours one; prompt i has seed + i.

        Raises:
            BadInput: the server refuses, or answers in another shape.
            ResourceStop: it did not answer.
        """
        return self._spoken(prompts, new_tokens, [seed + i for i in range(len(prompts))])

    def author(self) -> SpokenAuthor:
        name = f"{self._model or 'the model'} at {self.wire.url}"
        return SpokenAuthor(self._spoken, name, self.temperature, self.chat, self.system, PLACE)

    def _spoken(self, prompts: Sequence[str], new_tokens: int, seeds: Sequence[int]) -> list[str]:
        asked = [(prompt, new_tokens, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        return list(self.pool.map(self._answer, asked))

    @cached_property
    def _named(self) -> dict[str, str]:
        return {} if self._model is None else {"model": self._model}

    def _answer(self, asked: tuple[str, int, int]) -> str:
        prompt, new_tokens, seed = asked
        plain = {**self._named, "max_tokens": new_tokens, "temperature": self.temperature, "seed": seed}
        if not self.chat:
            return _text(self.wire.ask("/v1/completions", {**plain, "prompt": prompt}), ("text",))
        system = [{"role": "system", "content": self.system}] if self.system else []
        messages = [*system, {"role": "user", "content": prompt}]
        told = self.wire.ask("/v1/chat/completions", {**plain, "messages": messages})
        return _text(told, ("message", "content"))


def _text(answer: Any, path: tuple[str, ...]) -> str:
    """The text of the first choice."""
    try:
        found = answer["choices"][0]
        for name in path:
            found = found[name]
    except (TypeError, KeyError, IndexError):
        found = None
    if not isinstance(found, str):
        reason = f"the server's answer has no text at choices[0].{'.'.join(path)}"
        raise BadInput(PLACE, reason, remedy="is it an OpenAI-compatible server? teacher.chat=false for completions")
    return found
