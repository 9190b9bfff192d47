"""By how likely the author found its own text."""

from collections.abc import Sequence
from typing import ClassVar

from distill.generation.candidate import Candidate
from distill.generation.filters.filter import Filter
from distill.ranges import NonNegative


class Likelihood(Filter):
    """Candidates that their author found likely.

    Formula: −log p(text | prompt) / tokens ≤ most, at temperature 1 whatever the text was drawn with
    Source: Li et al. (2023). Symbolic Chain-of-Thought Distillation. arXiv:2306.14050, section 4

    An author that tells no probabilities (teacher=text) is refused before anything is asked; a text of a job that knows
    none is dropped.

    Args:
        most: nats per token.
    """

    reads_nats: ClassVar[bool] = True

    def __init__(self, most: NonNegative = 1.0) -> None:
        self.most = most

    def keeps(self, group: Sequence[Candidate]) -> list[bool]:
        return [one.nats_per_token <= self.most for one in group]
