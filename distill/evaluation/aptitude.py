"""What a teacher is like on held-out text, beside a student that has not begun: known before a step is taken.

Everything is read off the teacher's own signal, so it is told of any teacher that speaks about tokens. Of one that
tells only its likeliest, likelihood and entropy are those of the coarsened distribution: at most those in full.
"""

import math
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from distill.evaluation.bootstrap import SampleMean
from distill.models import answer, evaluating
from distill.signals.hidden import Hidden
from distill.teachers.teacher import Teacher
from distill.types import Batch, Request, Signal

SIZE = 256
"""Tokens whose log-probabilities exist at once."""
BINS = 10


@dataclass
class Aptitude:
    """Means over held-out tokens, with the samples they are from for intervals.

    Attributes:
        nats: −log p of the tokens that came.
        entropy: of the teacher's distribution, nats.
        accuracy: the teacher's likeliest token is the one that came.
        agreement: the teacher's likeliest token is the student's.
        confidence: (BINS, 3) float64: tokens, Σ max p, Σ right, by max p.
        bytes: that the tokens spell.
        seconds: that the teacher took.
    """

    nats: SampleMean = field(default_factory=SampleMean)
    entropy: SampleMean = field(default_factory=SampleMean)
    accuracy: SampleMean = field(default_factory=SampleMean)
    agreement: SampleMean = field(default_factory=SampleMean)
    confidence: Tensor = field(default_factory=lambda: torch.zeros(BINS, 3, dtype=torch.float64))
    bytes: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        return self.nats.n

    @property
    def bits_per_byte(self) -> float:
        """What tokenizers compare by."""
        return self.nats.value * self.tokens / max(self.bytes, 1) / math.log(2)

    @property
    def calibration_error(self) -> float:
        """Σ_b n_b / n |right_b − confidence_b|, bins of equal width."""
        counted = self.confidence[:, 0].clamp(min=1)
        gaps = ((self.confidence[:, 1] - self.confidence[:, 2]) / counted).abs()
        return float((gaps * self.confidence[:, 0]).sum() / self.confidence[:, 0].sum().clamp(min=1))

    @property
    def certainty(self) -> float:
        """Mean max p − accuracy: above 0 it promises more than it keeps."""
        total = self.confidence.sum(0)
        return float((total[1] - total[2]) / total[0].clamp(min=1))


@torch.no_grad()
def aptitude(
    teacher: Teacher, student: PreTrainedModel | None, batches: Iterable[Batch], samples: int, vocabulary: int | None
) -> Aptitude:
    """Ask a teacher about the first samples of some held-out batches; its passes are not counted.

    Args:
        student: with its initial weights, where the batches are; left in the mode it is in. None: not compared.
        batches: of held-out text. Where the teacher has tokens of its own, it is asked about those, and agreement with
            the student is not told.
        samples: stop with the batch that reaches this many.
        vocabulary: ids that both share; None for all of the student's.
    """
    found, passes, seen = Aptitude(), teacher.passes, 0
    with nullcontext() if student is None else evaluating(student):
        for batch in batches:
            begun = time.perf_counter()
            signal = teacher.teach(batch, Request())
            found.seconds += time.perf_counter() - begun
            if signal is None:
                break
            _heard(found, signal, batch, student, vocabulary, seen)
            found.bytes += batch.taught.bytes
            seen += len(batch.samples)
            if seen >= samples:
                break
    teacher.passes = passes
    return found


def _heard(
    found: Aptitude, signal: Signal, batch: Batch, student: PreTrainedModel | None, vocabulary: int | None, seen: int
) -> None:
    own = batch.taught
    outputs = None
    if batch.spans is None and student is not None:
        outputs = answer(student, batch.inputs, batch.positions, vocabulary=vocabulary)
    q = None if outputs is None else Hidden(outputs.hidden, outputs.head)
    for rows in _rows(own.targets.numel()):
        begun = time.perf_counter()
        told = signal.chunk(rows)
        found.seconds += time.perf_counter() - begun
        logits = told[0].new_zeros(told[0].shape) if q is None else q.chunk(rows)[0]
        _add(found, signal, told, logits, own.targets[rows], own.owners[rows] + seen, agreeing=q is not None)


def _rows(tokens: int) -> list[slice]:
    return [slice(start, min(start + SIZE, tokens)) for start in range(0, tokens, SIZE)]


def _add(
    found: Aptitude,
    signal: Signal,
    told: tuple[Tensor, ...],
    logits: Tensor,
    targets: Tensor,
    owners: Tensor,
    agreeing: bool,
) -> None:
    log_p, _ = signal.pair(told, logits, 1.0)  # (C, K'), the last of which is a bucket where there are more than tokens
    answers, p = signal.answers(told, targets), log_p.exp()
    top = log_p[:, : told[0].shape[-1]].max(-1)
    right = top.indices == answers
    found.nats.add(-log_p.gather(1, answers[:, None])[:, 0], owners)
    found.entropy.add(-torch.where(p > 0, p * log_p, 0.0).sum(-1), owners)
    found.accuracy.add(right, owners)
    if agreeing:
        found.agreement.add(top.indices == signal.answers(told, logits.argmax(-1)), owners)
    confidence = top.values.exp().double().cpu()
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    facts = torch.stack([torch.ones_like(confidence), confidence, right.double().cpu()], dim=-1)
    found.confidence.index_add_(0, bins, facts)
