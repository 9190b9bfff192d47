"""What a model writes from nothing: how long, how often right, and how far from the teacher over a whole string."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from distill.data.prompts import Prompt
from distill.divergences.kl import reverse_kl
from distill.evaluation.measure import Measured, PromptMeasure, told_apart
from distill.evaluation.sampling import drawn, sides, thought
from distill.evaluation.subject import Subject
from distill.ranges import Count, Natural
from experiments.minillm_2024.brackets import well_nested


class Written(PromptMeasure):
    """Length, share of well-nested strings, share ended, and the reverse KL of whole strings.

    Formula: sequence_reverse_kl = E_{y~q} Σ_t KL(q_t ‖ p_t), nats a string

    Args:
        texts: drawn from each subject, with the same noise, after the mark that documents begin with.
        new_tokens: at most.
        seed: of the noise.
    """

    prompts = 1

    def __init__(self, texts: Count = 1000, new_tokens: Count = 48, seed: Natural = 0) -> None:
        self.texts, self.new_tokens, self.seed = texts, new_tokens, seed

    def measure(self, subjects: Sequence[Subject], prompts: Sequence[Prompt]) -> Mapping[str, list[Measured]]:
        teacher = told_apart(subjects)
        assert teacher is not None, "this experiment has a teacher"
        return {subject.name: self._rows(subject, teacher) for subject in subjects}

    def _rows(self, subject: Subject, teacher: Subject) -> list[Measured]:
        end = subject.tokenizer.eos_token_id
        text = drawn(subject, torch.full((self.texts, 1), int(str(end))), self.new_tokens, self.seed)
        written = [row[alive].tolist() for row, alive in zip(text.ids[:, text.prompt :], text.alive, strict=True)]
        right = [ids[-1] == end and well_nested(str(subject.tokenizer.decode(ids[:-1]))) for ids in written]
        apart = torch.zeros(self.texts, dtype=torch.float64)
        for rows, log_p, log_q in sides(thought(teacher, text), thought(subject, text)):
            apart.index_add_(0, text.owners[rows].cpu(), reverse_kl(log_p, log_q).double().cpu())
        return [
            _mean("mean_length", torch.tensor([float(len(ids)) for ids in written]), "count"),
            _mean("well_nested", torch.tensor(right).double(), "fraction"),
            _mean("sequence_reverse_kl", apart, "nats"),
        ]


def _mean(name: str, values: Tensor, unit: str) -> Measured:
    return Measured(name, values.double().mean().item(), unit, len(values))
