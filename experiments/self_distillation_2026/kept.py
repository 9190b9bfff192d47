"""What a student still knows of its old tasks."""

import random
from collections.abc import Mapping, Sequence

import torch

from distill.data.encode import Marks
from distill.evaluation.answers import continued
from distill.evaluation.measure import Measured, ModelMeasure
from distill.evaluation.subject import Subject
from distill.ranges import Count, Natural
from experiments.self_distillation_2026.tasks import LENGTH, known


class Kept(ModelMeasure):
    """Exact match and nats a token on questions of the old tasks.

    Formula: old_nats_per_token = −Σ log q(token of the right answer, its end among them) / tokens

    Args:
        questions: asked of every subject, the same ones.
        seed: of the draw.
    """

    def __init__(self, questions: Count = 400, seed: Natural = 1) -> None:
        self.questions, self.seed = questions, seed

    def measure(self, subjects: Sequence[Subject]) -> Mapping[str, list[Measured]]:
        chance = random.Random(self.seed)
        pairs = [known(chance) for _ in range(self.questions)]
        return {subject.name: _rows(subject, pairs) for subject in subjects}


def _rows(subject: Subject, pairs: Sequence[tuple[str, str]]) -> list[Measured]:
    written = continued(subject, [question for question, _ in pairs], LENGTH + 2)
    right = sum(one == answer for one, (_, answer) in zip(written, pairs, strict=True))
    nats, tokens = _nats(subject, [question + answer for question, answer in pairs])
    return [
        Measured("old_exact_match", right / len(pairs), "fraction", len(pairs)),
        Measured("old_nats_per_token", nats / tokens, "nats/token", tokens),
    ]


def _nats(subject: Subject, texts: Sequence[str]) -> tuple[float, int]:
    """Of all right answers together; every question has one length, so nothing is padded."""
    marks = Marks.of(subject.tokenizer)
    rows = [subject.tokenizer(text).input_ids for text in texts]
    begin = [] if marks.begin is None else [marks.begin]
    ids = torch.tensor([[*begin, *row, marks.end] for row in rows])  # (B, S)
    log_q = subject.model(input_ids=ids[:, :-1]).logits.float().log_softmax(-1)  # (B, S − 1, V)
    told = -log_q.gather(-1, ids[:, 1:, None])[:, -(LENGTH + 1) :, 0]
    return told.double().sum().item(), told.numel()
