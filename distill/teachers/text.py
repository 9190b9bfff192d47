"""A black box: a model behind HTTP of which only its words are heard.

It has nothing to say about a given text, so no training step can ask it; what it writes is data. Objectives that want
more are refused before anything is loaded. Left out on purpose: tools, images, and providers whose answers are not of
OpenAI's shape.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from distill.ranges import Count, Natural, NonNegative, Positive
from distill.teachers.author import Ask, Writing
from distill.teachers.speaking import Speaking
from distill.teachers.spoken_author import Manner, SpokenAuthor
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
        self.manner = Manner(temperature, chat, system)
        self.speaking = Speaking(self.wire, ThreadPoolExecutor(concurrency, thread_name_prefix="asking"), told=False)
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
        manner = self.manner
        ask = Ask(new_tokens=new_tokens, temperature=manner.temperature, chat=manner.chat, system=manner.system)
        return [one.text for one in self._spoken(prompts, ask, [seed + i for i in range(len(prompts))])]

    def author(self) -> SpokenAuthor:
        name = f"{self._model or 'the model'} at {self.wire.url}"
        return SpokenAuthor(self._spoken, name, PLACE, tells=False, manner=self.manner)

    def _spoken(self, prompts: Sequence[str], ask: Ask, seeds: Sequence[int]) -> list[Writing]:
        return self.speaking(prompts, ask, seeds, {} if self._model is None else {"model": self._model})
