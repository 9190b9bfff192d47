"""Batches of samples that begin anywhere, and two models that write."""

import pytest
import torch

from distill.rollouts.language import Language
from distill.types import Batch, Moment

NOW = Moment(0, 10)
END = 0


def packed(rows=3, length=20, vocabulary=300, seed=0) -> Batch:
    """Two samples a row, 12 and 7 inputs, supervised from their first token."""
    ids = torch.randint(1, vocabulary, (rows, length), generator=torch.Generator().manual_seed(seed))
    places = torch.cat([torch.arange(12), torch.arange(8)]).expand(rows, -1)
    keep = torch.cat([torch.arange(12), torch.arange(12, 19)])
    positions = (torch.arange(rows)[:, None] * length + keep).flatten()
    owners = torch.cat([torch.tensor([2 * b] * 12 + [2 * b + 1] * 7) for b in range(rows)])
    inputs = {"input_ids": ids, "position_ids": places}
    names = tuple(f"{i}" for i in range(2 * rows))
    targets = ids.flatten()[positions + 1]
    return Batch(inputs, inputs, positions, positions, targets, owners, names, domains=names)


def answers(starts=((3, 9), (5, 14)), length=16, seed=1) -> Batch:
    """A row a sample; only positions from start to stop predict something."""
    ids = torch.randint(1, 300, (len(starts), length), generator=torch.Generator().manual_seed(seed))
    positions = torch.cat([b * length + torch.arange(*span) for b, span in enumerate(starts)])
    owners = torch.cat([torch.full((stop - start,), b) for b, (start, stop) in enumerate(starts)])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return Batch(inputs, inputs, positions, positions, ids.flatten()[positions + 1], owners, ("x", "y")[: len(starts)])


@pytest.fixture
def language():
    return Language(frozenset({END}), padding=END)


@pytest.fixture
def models(tiny_llama):
    """A student in training with dropout, a teacher in evaluation."""
    student, teacher = tiny_llama(dropout=0.2), tiny_llama(layers=3, width=24, seed=5)
    return student.train(), teacher.eval().requires_grad_(False)


@pytest.fixture
def met(models, language):
    """``met(rollout)`` has met the language and the teacher."""

    def meet(rollout):
        rollout.meet(language, lambda: models[1])
        return rollout

    return meet
