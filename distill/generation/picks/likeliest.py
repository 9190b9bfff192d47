"""Best of n by the author's own probability."""

import math
from collections.abc import Sequence
from typing import ClassVar

from distill.errors import BadInput
from distill.generation.candidate import Candidate
from distill.generation.picks.pick import Pick


class Likeliest(Pick):
    """The candidate that its author finds likeliest: the mode of the distribution, as far as the draws know it.

    Formula: argmin −log p(y | x) / tokens (``whole``: without the division)
    Source: Kim & Rush (2016). Sequence-Level Knowledge Distillation. arXiv:1606.07947, section 3.2

    Args:
        whole: compare whole texts, which prefers short ones.
    """

    reads_nats: ClassVar[bool] = True

    def __init__(self, whole: bool = False) -> None:
        self.whole = whole

    def picks(self, group: Sequence[Candidate]) -> list[Candidate]:
        costs = [one.nats if self.whole else one.nats_per_token for one in group]
        if all(math.isnan(cost) for cost in costs):
            reason = "this author tells no probabilities"
            raise BadInput("pick", reason, remedy="use pick=closest, pick=majority or pick=everything")
        return [min(zip(costs, group, strict=True), key=lambda pair: (math.isnan(pair[0]), pair[0]))[1]]
