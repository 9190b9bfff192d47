"""By how likely another model finds a text on its own."""

import math
from collections.abc import Sequence

from distill.errors import BadInput
from distill.generation.candidate import Candidate
from distill.generation.filters.filter import Filter
from distill.ranges import Positive
from distill.teachers.author import Ask
from distill.teachers.teacher import Teacher


class Perplexity(Filter):
    """Candidates that another model does not stumble over.

    Formula: exp(−log q(text) / tokens) ≤ most, q the judge, the prompt not shown
    Source: Wenzek et al. (2020). CCNet. arXiv:1911.00359

    Args:
        judge: a model that runs here.
        most: perplexity.

    Raises:
        BadInput: the judge has no model of its own here.
    """

    def __init__(self, judge: Teacher, most: Positive = 100.0) -> None:
        author = judge.author()
        if author is None or not author.judges:
            raise BadInput("filters.perplexity.judge", "has no model here that could judge", remedy="use teacher=live")
        self.author, self.most = author, most

    def keeps(self, group: Sequence[Candidate]) -> list[bool]:
        texts = [one.text for one in group]
        told = self.author.likelihoods(["" for _ in texts], texts, Ask(chat=False))
        return [tokens > 0 and math.exp(min(nats / tokens, 700)) <= self.most for nats, tokens in told]
