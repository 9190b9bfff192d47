"""Which tokens a loss speaks about: a mask a token, made from what teacher and student say there.

A token behind a shut gate adds 0 to its term and to every gradient; the count that sums are divided by does not
change, so a gate makes a term smaller and never rescales what is left. Left out on purpose: "the k most uncertain
tokens of the batch", which would depend on how a batch is cut.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from distill.losses.chunk import Chunk
from distill.ranges import Fraction, NonNegative


class Gate(nn.Module, ABC):
    """Decides at temperature 1, without a gradient."""

    needs: ClassVar[frozenset[str]]

    @torch.no_grad()
    def forward(self, chunk: Chunk) -> Tensor:
        """(C,) bool: whether the loss speaks about the token."""
        return self.opens(chunk)

    @abstractmethod
    def opens(self, chunk: Chunk) -> Tensor:
        """(C,) bool."""

    @abstractmethod
    def formula(self) -> str:
        """The condition with its number."""


class TeacherConfidence(Gate):
    """Tokens where the teacher's likeliest token has at least this probability.

    Formula: max p ≥ at_least

    Args:
        at_least: probability.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(self, at_least: Fraction = 0.5) -> None:
        super().__init__()
        self.at_least = at_least

    def opens(self, chunk: Chunk) -> Tensor:
        return chunk.pair(1.0)[0].amax(-1).exp() >= self.at_least

    def formula(self) -> str:
        return f"max p ≥ {self.at_least:g}"


class TeacherEntropy(Gate):
    """Tokens where the teacher's entropy lies in a range: forward KL where it is unsure, reverse KL elsewhere.

    Formula: at_least ≤ H(p) < below

    Args:
        at_least: nats.
        below: nats; null for no upper end.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(self, at_least: NonNegative = 0.0, below: NonNegative | None = None) -> None:
        super().__init__()
        self.at_least, self.below = at_least, below

    def opens(self, chunk: Chunk) -> Tensor:
        entropy = _entropy(chunk.pair(1.0)[0])
        opened = entropy >= self.at_least
        return opened if self.below is None else opened & (entropy < self.below)

    def formula(self) -> str:
        return f"{self.at_least:g} ≤ H(p)" + ("" if self.below is None else f" < {self.below:g}")


class StudentEntropy(Gate):
    """Tokens where the student's entropy lies in a range: train where it has not made up its mind.

    Formula: at_least ≤ H(q) < below

    Args:
        at_least: nats.
        below: nats; null for no upper end.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, at_least: NonNegative = 0.0, below: NonNegative | None = None) -> None:
        super().__init__()
        self.at_least, self.below = at_least, below

    def opens(self, chunk: Chunk) -> Tensor:
        entropy = _entropy(chunk.logits.log_softmax(-1))
        opened = entropy >= self.at_least
        return opened if self.below is None else opened & (entropy < self.below)

    def formula(self) -> str:
        return f"{self.at_least:g} ≤ H(q)" + ("" if self.below is None else f" < {self.below:g}")


class TeacherCorrect(Gate):
    """Tokens where the teacher's likeliest token is the one that comes.

    Formula: argmax p = y
    Source: Zhang et al. (2024). Dual-Space Knowledge Distillation for Large Language Models. arXiv:2406.17328

    In the paper's code this mask stands on the projected teacher and is easy to miss; it needs the whole vocabulary.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def opens(self, chunk: Chunk) -> Tensor:
        return chunk.pair(1.0)[0].argmax(-1) == chunk.answers

    def formula(self) -> str:
        return "argmax p = y"


def _entropy(log_p: Tensor) -> Tensor:
    """(C, K) -> (C,) nats."""
    p = log_p.exp()
    return -torch.where(p > 0, p * log_p, 0.0).sum(-1)
