"""One candidate of the answer that most give."""

from collections import Counter
from collections.abc import Sequence

from distill.data.questions.question import normal
from distill.generation.candidate import Candidate
from distill.generation.picks.pick import Pick


class Majority(Pick):
    """Of the candidates with the commonest answer, the likeliest, or the first where nobody tells probabilities.

    Source: Wang et al. (2023). Self-Consistency Improves Chain of Thought Reasoning. arXiv:2203.11171
    """

    def picks(self, group: Sequence[Candidate]) -> list[Candidate]:
        answers = [normal(one.answer) for one in group]
        common = Counter(answers).most_common(1)[0][0]
        found = [one for one, answer in zip(group, answers, strict=True) if answer == common]
        return [min(found, key=lambda one: one.nats_per_token if one.nats == one.nats else float("inf"))]
