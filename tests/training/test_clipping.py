"""The gradient's norm is taken once a step, and what is clipped by it is what Lightning would have clipped."""

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from distill.alignment.identity import Identity
from distill.rollouts.data import Data
from distill.teachers.none import NoTeacher
from distill.training.distiller import Distiller
from distill.training.optim import AdamW
from tests.training.conftest import batch, distilling
from tests.training.test_fit import trainer


class Plain(Distiller):
    """The same with Lightning's own clipping."""

    configure_gradient_clipping = pl.LightningModule.configure_gradient_clipping


class Counted(Distiller):
    """Counts how often a step's gradients were multiplied by a factor below 1."""

    clipped = 0

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None):
        before = [p.grad.clone() for p in self.student.parameters() if p.grad is not None]
        super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        after = [p.grad for p in self.student.parameters() if p.grad is not None]
        self.clipped += not all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def trained(kind, tiny_llama, clip, algorithm="norm"):
    student = tiny_llama(width=8, seed=3)
    objective = distilling().alone("ce")
    module = kind(student, objective, NoTeacher(), Data(), Identity(), AdamW(1e-2), 4)
    given = {"gradient_clip_val": clip, "gradient_clip_algorithm": algorithm, "max_steps": 4}
    fit = trainer(accumulate_grad_batches=2, log_every_n_steps=1, logger=False, **given)
    fit.fit(module, train_dataloaders=DataLoader([batch(k) for k in range(8)], batch_size=None))
    return module


@pytest.mark.parametrize("clip", [0.05, 0.45, 1e3, None])
def test_it_is_lightnings_to_the_bit(tiny_llama, clip):
    ours, theirs = (trained(kind, tiny_llama, clip).student.state_dict() for kind in (Distiller, Plain))
    assert all(torch.equal(one, theirs[name]) for name, one in ours.items())


def test_by_value_is_left_to_lightning(tiny_llama):
    ours, theirs = (trained(kind, tiny_llama, 1e-3, "value").student.state_dict() for kind in (Distiller, Plain))
    assert all(torch.equal(one, theirs[name]) for name, one in ours.items())


def test_it_clips_where_the_norm_is_too_large_and_nowhere_else(tiny_llama):
    assert trained(Counted, tiny_llama, 0.05).clipped == 4
    assert trained(Counted, tiny_llama, 1e3).clipped == 0
