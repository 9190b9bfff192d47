"""Texts that are kept to be trained on again, in few tensors, so that a checkpoint holds them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from distill.rollouts.text import Text

PARTS = ("prompt", "told", "tokens", "behaviour")


class Buffer:
    """The newest texts.

    Args:
        capacity: how many; the oldest goes first.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.texts: list[Text] = []

    def add(self, texts: Sequence[Text]) -> None:
        self.texts = [*self.texts, *texts][-self.capacity :]

    def draw(self, count: int, generator: torch.Generator) -> list[Text]:
        """So many of them, different ones as long as there are enough."""
        rounds = -(-count // len(self.texts))
        places = torch.cat([torch.randperm(len(self.texts), generator=generator) for _ in range(rounds)])
        return [self.texts[place] for place in places[:count].tolist()]

    def state(self) -> dict[str, Any]:
        """Each part of all texts end to end, and where each begins."""
        if not self.texts:
            return {}
        told: dict[str, Any] = {}
        for part in PARTS:
            one = [getattr(text, part) for text in self.texts]
            told[part], told[f"{part}_lengths"] = torch.cat(one), torch.tensor([len(tensor) for tensor in one])
        told["same"] = [text.told is text.prompt for text in self.texts]
        plain = {name: [getattr(text, name) for text in self.texts] for name in ("writer", "domain", "ended", "weight")}
        return told | plain

    def restore(self, state: Mapping[str, Any]) -> None:
        self.texts = []
        if not state:
            return
        parts = [state[part].split(state[f"{part}_lengths"].tolist()) for part in PARTS]
        plain = (state[name] for name in ("same", "writer", "domain", "ended", "weight"))
        for prompt, told, tokens, behaviour, same, *rest in zip(*parts, *plain, strict=True):
            self.texts.append(Text(prompt, prompt if same else told, tokens, behaviour, *rest))
