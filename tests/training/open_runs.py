"""Runs of a tiny student under a tiny teacher that shows what is inside, and what is kept of them."""

import io
import os
import signal

import pytorch_lightning as pl
import torch
from rich.console import Console

from distill.alignment.identity import Identity
from distill.models import answer, shape
from distill.rollouts.data import Data
from distill.rows import METRICS, WALL_CLOCK_UNITS, read
from distill.signals.hidden import Hidden
from distill.teachers.teacher import Teacher
from distill.training.distiller import Distiller
from distill.training.fit import Cadence, Fit
from distill.training.optim import AdamW


class Open(Teacher):
    """A tiny model as a teacher that shows what is inside."""

    provides = frozenset({"logits", "hidden", "layers"})

    def __init__(self, model):
        self._model = model.eval().requires_grad_(False)

    @property
    def model(self):
        return self._model

    @torch.no_grad()
    def teach(self, batch, request):
        self.passes += 1
        told = answer(self.model, batch.teacher_inputs, batch.teacher_positions, request)
        return Hidden(told.hidden, told.head, told)


class Watch(pl.Callback):
    """Keeps the objective's state after every step, and may stop the run after one."""

    def __init__(self, stop=None):
        self.stop, self.states = stop, []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.states.append({name: value.clone() for name, value in pl_module.objective.state_dict().items()})
        if len(self.states) == self.stop:
            os.kill(os.getpid(), signal.SIGTERM)


def runs(tmp_path, text, tokenizer, tiny_llama, objective):
    """``start(name)`` trains four steps of ``objective()`` in the folder of that name, or goes on there."""

    def start(name, callbacks=(), accumulate=1):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)

        def make():
            student, teacher = tiny_llama(width=8, dropout=0.1, seed=3), Open(tiny_llama(width=24, layers=3, seed=5))
            made = objective()
            torch.manual_seed(11)
            made.prepare(shape(student), shape(teacher.model))
            return Distiller(student, made, teacher, Data(), Identity(), AdamW(1e-2), 4, seed=3, log_every=1)

        def trainer(**given):
            off = ("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "use_distributed_sampler")
            plain = {"accelerator": "cpu", "max_epochs": -1, "limit_val_batches": 0, "num_sanity_val_steps": 0}
            return pl.Trainer(**plain, **dict.fromkeys(off, False), accumulate_grad_batches=accumulate, **given)

        fit = Fit(
            folder,
            text,
            tokenizer,
            trainer,
            Cadence(validate=2, checkpoint=2),
            seed=3,
            console=Console(file=io.StringIO()),
            callbacks=lambda: list(callbacks),
        )
        fit("student", make)
        return folder

    return start


def facts(folder):
    return [row for row in read(folder / METRICS) if row.unit not in WALL_CLOCK_UNITS]


def weights(folder):
    return (folder / "student" / "model.safetensors").read_bytes()


def same(left, right):
    """Bit for bit; what TAID has not measured yet is no number."""
    return torch.allclose(left, right, rtol=0, atol=0, equal_nan=True)
