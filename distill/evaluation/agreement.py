"""How much of the teacher a student took over, whether or not the teacher is right."""

from typing import ClassVar

from distill.divergences.kl import forward_kl, reverse_kl
from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.measure import Measured, TokenMeasure, Tokens


class Agreement(TokenMeasure):
    """Divergence from the teacher and agreement of the likeliest tokens, with intervals.

    Formula: kl_to_teacher = mean KL(p ‖ q); reverse_kl_to_teacher = mean KL(q ‖ p), both at temperature 1;
        top1_agreement = mean [argmax p = argmax q]
    Source: Stanton et al. 2021, Does Knowledge Distillation Really Work?, https://arxiv.org/abs/2106.05945, section
        2 (fidelity is not accuracy).

    The divergences are the very functions that the losses use.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(self) -> None:
        self.forward, self.reverse, self.same = SampleMean(), SampleMean(), SampleMean()

    def update(self, tokens: Tokens) -> None:
        assert tokens.log_p is not None
        self.forward.add(forward_kl(tokens.log_p, tokens.log_q), tokens.drawn)
        self.reverse.add(reverse_kl(tokens.log_p, tokens.log_q), tokens.drawn)
        self.same.add(tokens.log_p.argmax(-1) == tokens.top[1], tokens.drawn)

    def rows(self) -> list[Measured]:
        return [
            Measured(metric, mean.value, unit, mean.n, *mean.interval())
            for metric, mean, unit in (
                ("top1_agreement", self.same, "fraction"),
                ("kl_to_teacher", self.forward, "nats/token"),
                ("reverse_kl_to_teacher", self.reverse, "nats/token"),
            )
        ]
