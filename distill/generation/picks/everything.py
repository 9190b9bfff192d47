"""All that stayed: n-best, or many samples of one prompt."""

from collections.abc import Sequence

from distill.generation.candidate import Candidate
from distill.generation.picks.pick import Pick
from distill.ranges import Count


class Everything(Pick):
    """All candidates, or the first few.

    Source: Li et al. (2023). Symbolic Chain-of-Thought Distillation. arXiv:2306.14050 (30 samples a prompt)

    Args:
        most: of one prompt; null for all.
    """

    def __init__(self, most: Count | None = None) -> None:
        self.most = most

    def picks(self, group: Sequence[Candidate]) -> list[Candidate]:
        return list(group[: self.most])
