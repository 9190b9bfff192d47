"""How a student does on its own text: risks of what it writes, its teacher's word there, and how errors pile up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distill.data.prompts import Prompt
from distill.divergences.kl import forward_kl, reverse_kl
from distill.evaluation.bootstrap import SampleMean, resampled
from distill.evaluation.measure import Measured, PromptMeasure, told_apart
from distill.evaluation.sampling import Text, beginnings, drawn, sides, thought
from distill.evaluation.subject import Subject
from distill.ranges import Count, Natural


class Visited(PromptMeasure):
    """Likelihood and coverage risk, divergence on the student's own states, excess accumulated error by length.

    Formula: risk_likelihood = E_{y~q} −log p(y | x) / |y|; risk_coverage = E_{y~p} −log q(y | x) / |y|;
        kl_to_teacher_visited = mean KL(p ‖ q) at the states of y ~ q, kl_to_teacher_on_its_text at those of y ~ p,
        and with reverse_ of KL(q ‖ p); excess_accumulated_error(l) = R(l) / ε(l) − 1, R(l) = Σ_{t ≤ l} KL_t of
        y ~ q and ε(l) the same of y ~ p, both as means over the prompts
    Source: Wen et al. 2023, f-Distill, https://arxiv.org/abs/2307.15190 (the two risks); Agarwal et al.
        2024, GKD, https://arxiv.org/abs/2306.13649 (divergence on the student's own text); Arora et al. 2022, Why
        Exposure Bias Matters, https://arxiv.org/abs/2204.01171 (with the teacher as the oracle).

    Args:
        prompts: beginnings of held-out documents.
        new_tokens: written after each, by student and teacher, fewer after the end mark.
        seed: of the draws, which all subjects share.

    Nothing is measured where the teacher is no model with the students' tokens. Intervals: bootstrap over prompts.
    Caveat: a curve over l is of the texts that are still being written at l.
    """

    def __init__(self, prompts: Count = 64, new_tokens: Count = 48, seed: Natural = 0) -> None:
        self.prompts, self.new_tokens, self.seed = prompts, new_tokens, seed

    def measure(self, subjects: Sequence[Subject], prompts: Sequence[Prompt]) -> Mapping[str, list[Measured]]:
        teacher = told_apart(subjects)
        if teacher is None:
            return {subject.name: [] for subject in subjects}
        begun = beginnings(prompts)
        taught = drawn(teacher, begun, self.new_tokens, self.seed)
        return {subject.name: self._rows(subject, teacher, begun, taught) for subject in subjects}

    def _rows(self, subject: Subject, teacher: Subject, begun: Tensor, taught: Text) -> list[Measured]:
        if subject.taught:
            return []
        own = _seen(subject, teacher, drawn(subject, begun, self.new_tokens, self.seed))
        other = _seen(subject, teacher, taught)
        rows = [
            Measured(name, mean.value, "nats/token", mean.n, *mean.interval())
            for name, mean in (
                ("risk_likelihood", _mean(own, own.teacher_nats)),
                ("risk_coverage", _mean(other, other.own_nats)),
                ("kl_to_teacher_visited", _mean(own, own.forward)),
                ("reverse_kl_to_teacher_visited", _mean(own, own.reverse)),
                ("kl_to_teacher_on_its_text", _mean(other, other.forward)),
                ("reverse_kl_to_teacher_on_its_text", _mean(other, other.reverse)),
            )
        ]
        lengths = sorted({2**power for power in range(16) if 2**power < self.new_tokens} | {self.new_tokens})
        for length in lengths if subject is not teacher else ():
            value, ends = excess(own.curve(length), other.curve(length))
            name = f"excess_accumulated_error/{length:04d}"
            rows.append(Measured(name, value, "fraction", len(begun), *ends))
        return [*rows, Measured("visited_seed", self.seed, "count", len(begun))]


@dataclass(frozen=True)
class Seen:
    """(N,) nats at the states of a text: divergences, and what each side gives its tokens."""

    text: Text
    forward: Tensor
    reverse: Tensor
    teacher_nats: Tensor
    own_nats: Tensor

    def curve(self, length: int) -> np.ndarray:
        """(B,) the forward divergence of the first ``length`` tokens of each text, summed."""
        sums = torch.zeros(self.text.ids.shape[0], dtype=torch.float64)
        near = (self.text.places < length).cpu()
        return sums.index_add_(0, self.text.owners.cpu()[near], self.forward.double().cpu()[near]).numpy()


def _seen(subject: Subject, teacher: Subject, text: Text) -> Seen:
    found: list[tuple[Tensor, ...]] = []
    for rows, log_p, log_q in sides(thought(teacher, text), thought(subject, text)):
        at = text.targets[rows][:, None]
        nats = (-side.gather(1, at)[:, 0] for side in (log_p, log_q))
        found.append((forward_kl(log_p, log_q), reverse_kl(log_p, log_q), *nats))
    return Seen(text, *(torch.cat(parts) for parts in zip(*found, strict=True)))


def _mean(seen: Seen, values: Tensor) -> SampleMean:
    mean = SampleMean()
    mean.add(values, seen.text.owners)
    return mean


def excess(visited: np.ndarray, oracle: np.ndarray) -> tuple[float, tuple[float, float] | tuple[None, None]]:
    """(value, interval) of Σ visited / Σ oracle − 1; the same prompts are drawn on both sides of a resample."""
    if oracle.sum() == 0:
        return float("nan"), (None, None)
    ends = resampled(len(visited), lambda drawn: visited[drawn].sum() / oracle[drawn].sum() - 1)
    return float(visited.sum() / oracle.sum() - 1), ends
