"""A run on written text that was stopped is the run that was not, bit for bit, buffer and all."""

import io

import pytest
import pytorch_lightning as pl
import torch
from rich.console import Console

from distill.alignment.identity import Identity
from distill.divergences.kl import reverse_kl
from distill.errors import Interrupted
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.divergence import Divergence
from distill.losses.objective import Objective
from distill.losses.whole_text import WholeText
from distill.models import shape
from distill.rollouts.blended import Blended
from distill.rollouts.data import Data
from distill.rollouts.language import Language
from distill.rollouts.mixture import Mixture
from distill.rollouts.replay import Replay
from distill.rollouts.student import Student
from distill.training.distiller import Distiller
from distill.training.fit import Cadence, Fit
from distill.training.optim import AdamW
from tests.training.open_runs import Open, Watch, facts, weights

OFF = ("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "use_distributed_sampler")
PLAIN = {"accelerator": "cpu", "max_epochs": -1, "limit_val_batches": 0, "num_sanity_val_steps": 0}

ROLLOUTS = {
    "mixture": lambda: Mixture(Student(3, 6), Data(3), fraction=0.6),
    "replay": lambda: Replay(Student(3, 6), Data(3), start=0.9, rise=0.2, tolerance=-1.0, capacity=6),
    "blended": lambda: Blended(3, 6, 0.3),
}


def trained(folder, text, tokenizer, tiny_llama, rollout, stop=None, keep="best"):
    """Six steps in a folder, or on from where it was stopped."""
    folder.mkdir(exist_ok=True)
    told = []

    def make():
        student, teacher = tiny_llama(width=8, dropout=0.1, seed=3), Open(tiny_llama(width=24, layers=3, seed=5))
        written = isinstance(rollout, Blended)
        objective = Objective({"kd": WholeText() if written else Divergence(reverse_kl), "ce": CrossEntropy(0.1)})
        objective.prepare(shape(student), shape(teacher.model))
        rollout.meet(Language(frozenset({0, 7})), lambda: teacher.model)
        told.append(Distiller(student, objective, teacher, rollout, Identity(), AdamW(1e-2), 6, seed=3, log_every=1))
        return told[0]

    def trainer(**given):
        return pl.Trainer(**PLAIN, **dict.fromkeys(OFF, False), accumulate_grad_batches=2, **given)

    quiet = Console(file=io.StringIO())
    watch = [Watch(stop)] if stop else []
    cadence = Cadence(validate=2, checkpoint=2, keep=keep)
    fit = Fit(folder, text, tokenizer, trainer, cadence, 3, quiet, callbacks=lambda: list(watch))
    return fit("student", make)


@pytest.mark.parametrize("name", ROLLOUTS)
def test_resumed_is_straight(tmp_path, text, tokenizer, tiny_llama, name):
    straight = trained(tmp_path / "a", text, tokenizer, tiny_llama, ROLLOUTS[name]())
    with pytest.raises(Interrupted):
        trained(tmp_path / "b", text, tokenizer, tiny_llama, ROLLOUTS[name](), stop=7)
    resumed = trained(tmp_path / "b", text, tokenizer, tiny_llama, ROLLOUTS[name]())
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert facts(tmp_path / "a") == facts(tmp_path / "b")
    assert straight == resumed
    assert straight.written > 0
    metrics = {row.metric for row in facts(tmp_path / "a")}
    assert {"rollout/entropy", "rollout/length", "rollout/repetition_4", "rollout/kl_visited"} <= metrics


def test_the_last_weights_may_be_kept_instead_of_the_best(tmp_path, text, tokenizer, tiny_llama):
    best = trained(tmp_path / "a", text, tokenizer, tiny_llama, ROLLOUTS["mixture"]())
    last = trained(tmp_path / "b", text, tokenizer, tiny_llama, ROLLOUTS["mixture"](), keep="last")
    assert last.best_step == 6
    assert best.best_value <= last.best_value


def test_validation_is_heard(tmp_path, text, tokenizer, tiny_llama):
    rollout = ROLLOUTS["replay"]()
    trained(tmp_path / "a", text, tokenizer, tiny_llama, rollout)
    assert rollout.share == 1.0  # four points, of which three follow another
    assert torch.tensor([len(t.tokens) for t in rollout.buffer.texts]).max() <= 6
