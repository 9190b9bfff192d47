"""A black box behind HTTP, as an author: it tells words and no probabilities."""

import hashlib
import math
from collections.abc import Callable, Sequence

from distill.errors import BadInput
from distill.teachers.author import Ask, Author, Writing


class SpokenAuthor(Author):
    """Asks for each candidate apart, with a seed of its own.

    Args:
        speak: (prompts, new tokens, seeds) -> texts.
        name: of the model.
        temperature: that the server is asked with; the decoding may ask for no other.
        chat: whether prompts are messages, there.
        system: what a conversation begins with, there.
        place: the key that names it, for messages.
    """

    def __init__(
        self,
        speak: Callable[[Sequence[str], int, Sequence[int]], list[str]],
        name: str,
        temperature: float,
        chat: bool,
        system: str | None,
        place: str,
    ) -> None:
        self.speak, self.name, self.place = speak, name, place
        self.temperature, self.chat, self.system = temperature, chat, system
        self.fingerprint = hashlib.sha256(repr([place, name, temperature, chat, system]).encode()).hexdigest()

    def write(self, prompts: Sequence[str], ask: Ask, seeds: Sequence[int]) -> list[list[Writing]]:
        if ask.beams > 1:
            raise BadInput("decoding.beams", "a served model searches none", value=ask.beams, remedy="decoding=sample")
        if ask.temperature != self.temperature:
            remedy = f"say the same twice: teacher.temperature={ask.temperature:g}"
            raise BadInput("decoding.temperature", "the teacher has another", value=ask.temperature, remedy=remedy)
        copies = ask.candidates if ask.temperature > 0 else 1
        asked = [prompt for prompt in prompts for _ in range(copies)]
        numbered = [(seed + number) % 2**31 for seed in seeds for number in range(copies)]
        texts = [text.strip() for text in self.speak(asked, ask.new_tokens, numbered)]
        found = [Writing(text, 0, math.nan, True) for text in texts]
        return [found[i : i + copies] for i in range(0, len(found), copies)]
