"""By whether the author says the same again: self-consistency."""

from collections import Counter
from collections.abc import Sequence

from distill.data.questions.question import normal
from distill.generation.candidate import Candidate
from distill.generation.filters.filter import Filter
from distill.ranges import Fraction


class Agreement(Filter):
    """Candidates whose answer is the one that most of the prompt's candidates give.

    Formula: votes of the answer / candidates ≥ at_least, and no answer has more votes
    Source: Wang et al. (2023). Self-Consistency Improves Chain of Thought Reasoning. arXiv:2203.11171

    A candidate without an answer has no vote and is dropped; of two answers with equal votes neither is the majority.

    Args:
        at_least: share of all candidates.
    """

    def __init__(self, at_least: Fraction = 0.5) -> None:
        self.at_least = at_least

    def keeps(self, group: Sequence[Candidate]) -> list[bool]:
        answers = [normal(one.answer) for one in group]
        votes = Counter(one for one in answers if one).most_common()
        tied = len(votes) > 1 and votes[0][1] == votes[1][1]
        if not votes or tied or votes[0][1] < self.at_least * len(group):
            return [False] * len(group)
        return [one == votes[0][0] for one in answers]
