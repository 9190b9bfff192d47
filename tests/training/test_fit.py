"""A stopped run resumed is the straight run, bit for bit; and a batch cut differently teaches the same."""

import io
import os
import signal

import pytest
import pytorch_lightning as pl
import torch
from rich.console import Console

from distill.alignment.identity import Identity
from distill.errors import BadInput, Interrupted, NumericalStop
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.objective import Objective
from distill.models import answer
from distill.rollouts.data import Data
from distill.rows import METRICS, WALL_CLOCK_UNITS, read
from distill.signals.hidden import Hidden
from distill.storage import find_fault
from distill.teachers.none import NoTeacher
from distill.teachers.teacher import Teacher
from distill.training.distiller import Distiller
from distill.training.fit import Cadence, Fit
from distill.training.optim import AdamW
from tests.training.conftest import batch, distilling


class Fixed(Teacher):
    """A tiny model as a teacher."""

    provides = frozenset({"logits"})

    def __init__(self, model):
        self._model = model.eval().requires_grad_(False)

    @property
    def model(self):
        return self._model

    @torch.no_grad()
    def teach(self, batch, request):
        self.passes += 1
        told = answer(self.model, batch.teacher_inputs, batch.teacher_positions)
        return Hidden(told.hidden, told.head)


def trainer(**given):
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=-1,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        **given,
    )


@pytest.fixture
def run(tmp_path, text, tokenizer, tiny_llama):
    """``run(name, **options)`` trains a student with dropout in a folder of that name."""

    def start(name, steps=6, accumulate=2, precision="32-true", callbacks=(), data=text, teacher=True):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)

        def make():
            student = tiny_llama(width=8, dropout=0.1, seed=3)
            if not teacher:
                return distiller(student, Objective({"ce": CrossEntropy()}), NoTeacher(), steps)
            return distiller(student, distilling(), Fixed(tiny_llama(seed=5)), steps)

        fit = Fit(
            folder,
            data,
            tokenizer,
            lambda **given: trainer(accumulate_grad_batches=accumulate, precision=precision, **given),
            Cadence(validate=2, checkpoint=2),
            seed=3,
            console=Console(file=io.StringIO()),
            callbacks=lambda: list(callbacks),
        )
        return fit("student", make), folder

    return start


def distiller(student, objective, teacher, steps):
    return Distiller(student, objective, teacher, Data(), Identity(), AdamW(1e-2), steps, seed=3, log_every=2)


class Stop(pl.Callback):
    """Sends this process a signal after a micro-batch."""

    def __init__(self, after, number=signal.SIGTERM):
        self.after, self.number, self.seen = after, number, 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen += 1
        if self.seen == self.after:
            os.kill(os.getpid(), self.number)


def facts(folder):
    return [row for row in read(folder / METRICS) if row.unit not in WALL_CLOCK_UNITS]


def weights(folder):
    return (folder / "student" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("after", [1, 4, 9])
def test_resumed_is_straight(run, after, precision):
    _, straight = run("straight", precision=precision)
    with pytest.raises(Interrupted) as caught:
        run("stopped", precision=precision, callbacks=[Stop(after)])
    assert caught.value.code == 128 + signal.SIGTERM
    again, stopped = run("stopped", precision=precision)
    assert weights(stopped) == weights(straight)
    assert facts(stopped) == facts(straight)
    assert again.steps == 6
    assert again.teacher_passes == 12


def test_a_stop_inside_validation_measures_the_point_after_resuming(run, text, monkeypatch):
    _, straight = run("straight")
    calls = 0
    original = Distiller.negative_log_likelihood

    def disturbed(self, batch):
        nonlocal calls
        calls += 1
        if calls == 3:  # first batch of the second point
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, batch)

    monkeypatch.setattr(Distiller, "negative_log_likelihood", disturbed)
    with pytest.raises(Interrupted) as caught:
        run("stopped")
    assert caught.value.code == 130
    _, stopped = run("stopped")
    assert facts(stopped) == facts(straight)
    assert weights(stopped) == weights(straight)


def test_a_finished_subject_is_not_trained_again_and_a_damaged_one_is_refused(run):
    first, folder = run("once")
    assert find_fault(folder / "student") is None
    assert not (folder / "checkpoints" / "student").exists()
    before = (folder / METRICS).read_bytes()
    again, _ = run("once")
    assert again == first
    assert (folder / METRICS).read_bytes() == before
    (folder / "student" / "fitted.json").write_text("{}")
    with pytest.raises(BadInput, match="damaged"):
        run("once")


def test_the_kept_weights_are_the_best_point_s(run, text, tiny_llama):
    from transformers import AutoModelForCausalLM

    fitted, folder = run("best", teacher=False)
    points = {row.step: row.value for row in facts(folder) if row.metric == "nats_per_token"}
    assert set(points) == {0, 2, 4, 6}
    assert fitted.best_value == min(points.values()) == points[fitted.best_step]
    model = AutoModelForCausalLM.from_pretrained(folder / "student")
    module = distiller(model, Objective({"ce": CrossEntropy()}), NoTeacher(), 1)
    model.eval()
    with torch.no_grad():
        batches = text.validation_batches()
        total = sum(module.likelihood(answer(model, b.inputs, b.positions), None, b, None).total for b in batches)
    assert total.item() / sum(b.tokens for b in batches) == pytest.approx(fitted.best_value, rel=1e-6)


def test_the_teacher_is_neither_trained_nor_saved_nor_a_part(tiny_llama):
    teacher = Fixed(tiny_llama(seed=5))
    module = distiller(tiny_llama(width=8), distilling(), teacher, 1)
    assert not any(name.startswith("teacher") for name, _ in module.named_parameters())
    assert not any(name.startswith("teacher") for name in module.state_dict())
    module.train()
    assert not teacher.model.training


class Gradients(pl.Callback):
    """Keeps the gradient that the optimiser has just used."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        parameters = [p for p in pl_module.parameters() if p.grad is not None]
        self.seen = torch.cat([p.grad.flatten().double() for p in parameters])


def cut(whole, pieces):
    """The rows of a batch, in ``pieces`` micro-batches of unequal token counts."""
    from dataclasses import replace

    rows, length = whole.inputs["input_ids"].shape
    for chosen in torch.arange(rows).chunk(pieces):
        mine = torch.isin(whole.owners, chosen)
        positions = whole.positions[mine] - chosen[0] * length
        inputs = {"input_ids": whole.inputs["input_ids"][chosen]}
        yield replace(
            whole,
            inputs=inputs,
            teacher_inputs=inputs,
            positions=positions,
            teacher_positions=positions,
            targets=whole.targets[mine],
            owners=whole.owners[mine] - chosen[0],
            samples=tuple(whole.samples[i] for i in chosen),
        )


@pytest.mark.parametrize("pieces", [2, 4])
def test_cutting_a_step_into_micro_batches_changes_nothing(tiny_llama, pieces):
    whole = batch(0, rows=8)
    seen = []
    for parts in ([whole], list(cut(whole, pieces))):
        module = distiller(tiny_llama(width=8, seed=3), distilling(), Fixed(tiny_llama(seed=5)), 1)
        kept = Gradients()
        started = trainer(accumulate_grad_batches=len(parts), max_steps=1, callbacks=[kept], logger=False)
        started.fit(module, train_dataloaders=torch.utils.data.DataLoader(parts, batch_size=None))
        seen.append((kept.seen, module.tally.means()))
    (one, told), (many, told_many) = seen
    assert torch.linalg.norm(one - many) <= 1e-5 * torch.linalg.norm(one)
    assert told == pytest.approx(told_many, rel=1e-6)


def test_the_logged_loss_is_a_mean_over_supervised_tokens(run, text):
    _, folder = run("log", accumulate=1)
    first = next(row for row in facts(folder) if row.metric == "loss/ce" and row.step == 1)
    assert 4.0 < first.value < 8.0  # log 300 = 5.7 for an untrained model
    total = next(row for row in facts(folder) if row.metric == "loss/total" and row.step == 1)
    kd = next(row for row in facts(folder) if row.metric == "loss/kd" and row.step == 1)
    assert total.value == pytest.approx(kd.value + 0.5 * first.value, rel=1e-6)


def test_a_gradient_that_is_not_finite_stops_and_names_the_samples(run, monkeypatch):
    class Poison(pl.Callback):
        def on_after_backward(self, trainer, pl_module):
            if trainer.global_step == 3:
                next(pl_module.student.parameters()).grad[0, 0] = float("nan")

    with pytest.raises(NumericalStop, match=r"step 3: samples [0-9a-f]{12}") as caught:
        run("poisoned", callbacks=[Poison()])
    assert caught.value.code == 3
    _, healed = run("poisoned")
    _, straight = run("straight")
    assert weights(healed) == weights(straight)
