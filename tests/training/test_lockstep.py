"""Students trained in one process around one teacher are the students of separate runs, bit for bit."""

import io
import signal
import threading
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from rich.console import Console

from distill.alignment.identity import Identity
from distill.divergences.jensen_shannon import jensen_shannon
from distill.divergences.kl import forward_kl, reverse_kl
from distill.errors import Interrupted, NumericalStop
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.divergence import Divergence
from distill.losses.objective import Objective
from distill.losses.states.hidden import MeanSquare
from distill.models import shape
from distill.rollouts.data import Data
from distill.teachers.together import Together
from distill.training.callbacks.gradient_anatomy import GradientAnatomy
from distill.training.callbacks.interruption import Interruption
from distill.training.distiller import Distiller
from distill.training.fit import Cadence, Fit
from distill.training.optim import AdamW
from tests.training.open_runs import Open, facts, weights
from tests.training.test_fit import Stop, trainer

STUDENTS = {
    "forward": lambda: Objective({"kd": Divergence(forward_kl), "ce": CrossEntropy(weight=0.5)}),
    "warm": lambda: Objective({"kd": Divergence(forward_kl)}, temperature=3.0),
    "reverse, in torch": lambda: Objective({"kd": Divergence(reverse_kl)}, kernel=False),
    "mixture": lambda: Objective({"kd": Divergence(partial(jensen_shannon, teacher_weight=0.3))}),
    "small chunks": lambda: Objective({"kd": Divergence(forward_kl, temperature=2.0)}, chunk=7),
    "looks inside": lambda: Objective({"kd": Divergence(forward_kl), "hint": MeanSquare()}),
}


@pytest.fixture
def train(tmp_path, text, tokenizer, tiny_llama):
    """``train(name, objective, teacher)`` -> the run folder of four steps; ``where`` is a group of such folders."""

    def start(where, name, objective, teacher, callbacks=(), interruption=None, accumulate=2):
        folder = tmp_path / where / name
        folder.mkdir(parents=True, exist_ok=True)

        def make():
            student, made = tiny_llama(width=8, dropout=0.1, seed=3), objective()
            torch.manual_seed(11)
            made.prepare(shape(student), shape(teacher.model))
            return Distiller(student, made, teacher, Data(), Identity(), AdamW(1e-2), 4, seed=3, log_every=1)

        Fit(
            folder,
            text,
            tokenizer,
            partial(trainer, accumulate_grad_batches=accumulate),
            Cadence(validate=2, checkpoint=1),
            seed=3,
            console=Console(file=io.StringIO()),
            callbacks=lambda: list(callbacks),
            interruption=interruption,
        )("student", make)
        return folder

    return start


@pytest.fixture
def teacher(tiny_llama):
    return lambda: Open(tiny_llama(width=24, layers=3, seed=5))


def in_step(train, where, students, teacher, **more):
    """Train them together; what ended each of them otherwise than well."""
    together = Together(teacher, len(students))
    ended = {}

    def run(name, objective, seat, told):
        try:
            with seat.taken():
                train(where, name, objective, seat, **told)
        except Exception as problem:
            ended[name] = problem

    with Interruption().watched() as interruption:
        threads = []
        for (name, objective), seat in zip(students.items(), together.seats, strict=True):
            told = {"interruption": interruption, **more.get(name, {})}
            threads.append(threading.Thread(target=run, args=(name, objective, seat, told)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return ended


def test_together_they_are_what_they_are_alone(train, teacher, tmp_path):
    """Weights and every row of five objectives, temperatures and chunk sizes, dropout and accumulation included."""
    for name, objective in STUDENTS.items():
        train("alone", name, objective, teacher())
    shared = teacher()
    assert in_step(train, "together", STUDENTS, shared) == {}
    for name in STUDENTS:
        alone, together = tmp_path / "alone" / name, tmp_path / "together" / name
        assert weights(together) == weights(alone), name
        assert facts(together) == facts(alone), name
    assert shared.passes == 8  # four steps of two micro-batches, whatever the number of students


def test_the_heads_product_is_made_once_a_chunk(train, teacher, monkeypatch):
    from distill.signals.hidden import Hidden

    made, chunk = [], Hidden.chunk
    monkeypatch.setattr(Hidden, "chunk", lambda self, rows: made.append(rows) or chunk(self, rows))
    students = {str(t): lambda t=t: Objective({"kd": Divergence(forward_kl)}, t, chunk=8) for t in (1.0, 2.0, 4.0)}
    train("alone", "one", students["1.0"], teacher())
    alone = len(made)
    made.clear()
    assert in_step(train, "together", students, teacher()) == {}
    assert len(made) == alone


def test_a_look_at_gradients_costs_the_others_nothing(train, teacher, tmp_path):
    looking = {"forward": {"callbacks": [GradientAnatomy(every=1)]}}
    chosen = {name: STUDENTS[name] for name in ("forward", "warm")}
    train("alone", "forward", STUDENTS["forward"], teacher(), callbacks=[GradientAnatomy(every=1)])
    train("alone", "warm", STUDENTS["warm"], teacher())
    assert in_step(train, "together", chosen, teacher(), **looking) == {}
    for name in chosen:
        assert facts(tmp_path / "together" / name) == facts(tmp_path / "alone" / name)


class Poison(pl.Callback):
    """Makes a student's weights undefined after its second step."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 2:
            with torch.no_grad():
                next(pl_module.student.parameters()).fill_(torch.nan)


def test_one_that_fails_does_not_take_the_others(train, teacher, tmp_path):
    train("alone", "warm", STUDENTS["warm"], teacher())
    chosen = {name: STUDENTS[name] for name in ("forward", "warm")}
    ended = in_step(train, "together", chosen, teacher(), forward={"callbacks": [Poison()]})
    assert isinstance(ended.pop("forward"), NumericalStop)
    assert ended == {}
    assert weights(tmp_path / "together" / "warm") == weights(tmp_path / "alone" / "warm")
    assert facts(tmp_path / "together" / "warm") == facts(tmp_path / "alone" / "warm")


@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_signal_stops_them_all_and_they_go_on_together(train, teacher, tmp_path, after):
    """Those that had not begun the step when the signal came stop one step before the one that it came to."""
    chosen = {name: STUDENTS[name] for name in ("forward", "warm", "small chunks")}
    for name, objective in chosen.items():
        train("alone", name, objective, teacher())
    first = teacher()
    ended = in_step(train, "together", chosen, first, warm={"callbacks": [Stop(after)]})
    assert {type(problem) for problem in ended.values()} == {Interrupted}
    assert {problem.code for problem in ended.values()} == {128 + signal.SIGTERM}
    second = teacher()
    assert in_step(train, "together", chosen, second) == {}
    for name in chosen:
        assert weights(tmp_path / "together" / name) == weights(tmp_path / "alone" / name)
        assert facts(tmp_path / "together" / name) == facts(tmp_path / "alone" / name)
    assert first.passes + second.passes <= 8 + 2  # those behind come up alone, once
