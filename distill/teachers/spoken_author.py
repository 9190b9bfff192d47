"""A model behind HTTP, as an author: a candidate is a question of its own."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from distill.errors import BadInput
from distill.teachers.author import Ask, Author, Writing

Speak = Callable[[Sequence[str], Ask, Sequence[int]], list[Writing]]


@dataclass(frozen=True)
class Manner:
    """What a teacher's own keys say of how it is asked; a decoding that says otherwise is refused.

    Attributes:
        temperature: that the server is asked with.
        chat: whether prompts are messages.
        system: what a conversation begins with.
    """

    temperature: float
    chat: bool
    system: str | None


class SpokenAuthor(Author):
    """Asks for each candidate apart, with a seed of its own.

    Args:
        speak: (prompts, how, seeds) -> texts.
        name: of the model.
        place: the key that names it, for messages.
        tells: it says how likely what it wrote is.
        manner: what the teacher's keys say; None leaves it all to the decoding.
        version: what else tells it from another of the same name.
    """

    def __init__(
        self,
        speak: Speak,
        name: str,
        place: str,
        tells: bool,
        manner: Manner | None = None,
        version: str | None = None,
    ) -> None:
        self.speak, self.name, self.place, self.tells, self.manner = speak, name, place, tells, manner
        self.fingerprint = hashlib.sha256(repr([place, name, manner, version, tells]).encode()).hexdigest()

    def write(self, prompts: Sequence[str], ask: Ask, seeds: Sequence[int]) -> list[list[Writing]]:
        if ask.beams > 1:
            raise BadInput("decoding.beams", "a served model searches none", value=ask.beams, remedy="decoding=sample")
        how = ask if self.manner is None else self._agreed(ask, self.manner)
        copies = ask.candidates if ask.temperature > 0 else 1
        asked = [prompt for prompt in prompts for _ in range(copies)]
        numbered = [(seed + number) % 2**31 for seed in seeds for number in range(copies)]
        found = [replace(one, text=one.text.strip()) for one in self.speak(asked, how, numbered)]
        return [found[i : i + copies] for i in range(0, len(found), copies)]

    def _agreed(self, ask: Ask, manner: Manner) -> Ask:
        """How it is asked, where two keys say the same."""
        pairs = {"temperature": (ask.temperature, manner.temperature), "chat": (ask.chat, manner.chat)}
        pairs |= {"system": (ask.system, manner.system)} if ask.system is not None else {}
        for key, (asked, own) in pairs.items():
            if asked != own:
                remedy = f"say the same twice: teacher.{key}={_written(asked)}"
                raise BadInput(f"decoding.{key}", "the teacher has another", value=asked, remedy=remedy)
        return replace(ask, system=manner.system)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
