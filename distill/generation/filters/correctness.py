"""By whether the answer is right, where somebody knows it."""

from collections.abc import Sequence

from distill.data.questions.question import normal
from distill.generation.candidate import Candidate
from distill.generation.filters.filter import Filter


class Correctness(Filter):
    """Candidates whose answer is the reference's.

    Source: Zelikman et al. (2022). STaR: Bootstrapping Reasoning With Reasoning. arXiv:2203.14465

    A right answer does not make its reasons right; nothing here looks at them.

    Args:
        unknown: keep candidates of prompts without a reference.
    """

    def __init__(self, unknown: bool = False) -> None:
        self.unknown = unknown

    def keeps(self, group: Sequence[Candidate]) -> list[bool]:
        return [normal(one.answer) == normal(one.reference) if one.reference else self.unknown for one in group]
