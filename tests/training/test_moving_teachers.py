"""Teachers that change during a training: what is logged of them, and that a resumed run is the straight one."""

import io

import pytest
import pytorch_lightning as pl
from rich.console import Console

from distill.alignment.identity import Identity
from distill.errors import BadInput, Interrupted
from distill.rollouts.data import Data
from distill.rows import read
from distill.teachers.ema_self import EmaSelf
from distill.teachers.ensemble import Ensemble
from distill.teachers.none import NoTeacher
from distill.teachers.schedule import Schedule
from distill.training.distiller import Distiller
from distill.training.fit import Cadence, Fit
from distill.training.optim import AdamW
from tests.training.conftest import distilling
from tests.training.test_fit import METRICS, Fixed, Stop, facts, trainer, weights


@pytest.fixture
def run(tmp_path, text, tokenizer, tiny_llama):
    """``run(name, teacher)`` trains a student with dropout under ``teacher()`` in a folder of that name."""

    def start(name, teacher, stop=None, steps=6):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)

        def make():
            student, made = tiny_llama(width=8, dropout=0.1, seed=3), teacher()
            made.meet(student)
            return Distiller(student, distilling(), made, Data(), Identity(), AdamW(1e-2), steps, seed=3, log_every=1)

        def lightning(**given) -> pl.Trainer:
            return trainer(accumulate_grad_batches=2, **given)

        stops = [] if stop is None else [Stop(stop)]
        console = Console(file=io.StringIO())
        fit = Fit(folder, text, tokenizer, lightning, Cadence(2, 2), seed=3, console=console, callbacks=lambda: stops)
        return fit("student", make), folder

    return start


@pytest.fixture
def teachers(tiny_llama):
    return lambda: {"weak": Fixed(tiny_llama(seed=5)), "strong": Fixed(tiny_llama(width=24, seed=6))}


@pytest.fixture
def kinds(teachers):
    return {
        "ema_self": lambda: EmaSelf(0.6),
        "at a step": lambda: Schedule(teachers(), ["weak", "strong"], at=[3]),
        "on a plateau": lambda: Schedule(teachers(), ["weak", "strong"], patience=1, least=10.0),
        "several": lambda: Ensemble({**teachers(), "own": EmaSelf(0.6)}),
    }


@pytest.mark.parametrize("after", [pytest.param(3, marks=pytest.mark.slow), 7])
@pytest.mark.parametrize("kind", ["ema_self", "at a step", "on a plateau", "several"])
def test_resumed_is_straight(run, kinds, kind, after):
    straight, expected = run("straight", kinds[kind])
    with pytest.raises(Interrupted):
        run("stopped", kinds[kind], stop=after)
    again, found = run("stopped", kinds[kind])
    assert weights(found) == weights(expected)
    assert facts(found) == facts(expected)
    assert again.teacher_passes == straight.teacher_passes


def losses_of(folder) -> list[float]:
    return [row.value for row in read(folder / METRICS) if row.metric == "loss/kd"]


def turns(folder) -> list[float]:
    return told(folder, "teachers/turn")


def told(folder, metric) -> list[float]:
    return [row.value for row in read(folder / METRICS) if row.metric == metric]


def test_the_next_teacher_takes_over_at_its_step(run, kinds):
    _, folder = run("run", kinds["at a step"])
    assert turns(folder) == [0, 0, 0, 1, 1, 1]
    assert told(folder, "teachers/since") == [0, 0, 0, 3, 3, 3]


def test_the_next_teacher_takes_over_when_validation_is_no_better(run, kinds):
    """The first point (before step 1) counts; none is 10 nats better, so the second, after step 2, is a plateau."""
    _, folder = run("run", kinds["on a plateau"])
    assert turns(folder) == [0, 0, 1, 1, 1, 1]
    assert told(folder, "teachers/since") == [0, 0, 2, 2, 2, 2]


def test_an_ensembles_divergence_is_logged_in_its_two_parts(run, kinds):
    _, folder = run("run", kinds["several"])
    parts = zip(*(told(folder, f"teachers/{name}") for name in ("mean_kl", "kl_of_mean", "disagreement")), strict=True)
    found = list(parts)
    assert len(found) == 6
    assert all(whole == pytest.approx(of_mean + apart, rel=1e-4) for whole, of_mean, apart in found)


def test_a_schedule_is_not_a_training_by_either_alone(run, kinds, teachers):
    made = {"weak": lambda: teachers()["weak"], "strong": lambda: teachers()["strong"], "both": kinds["at a step"]}
    losses = {name: losses_of(run(name, teacher)[1]) for name, teacher in made.items()}
    assert losses["both"][:3] == losses["weak"][:3]
    assert losses["both"][3:] not in (losses["weak"][3:], losses["strong"][3:])


def test_it_is_measured_against_the_last_one(teachers):
    made = teachers()
    schedule = Schedule(made, ["strong", "weak"], at=[3])
    assert schedule.exact is made["weak"]
    assert schedule.now is made["strong"]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"order": ["weak", "nobody"]}, "teacher.order"),
        ({"order": []}, "teacher.order"),
        ({"order": ["weak", "strong"], "at": []}, "teacher.at"),
        ({"order": ["weak", "strong", "weak"], "at": [5, 3]}, "teacher.at"),
    ],
)
def test_what_makes_no_schedule_is_refused(teachers, given, place):
    with pytest.raises(BadInput) as caught:
        Schedule(teachers(), **given)
    assert caught.value.place == place


def test_who_says_nothing_takes_no_turn(teachers):
    with pytest.raises(BadInput, match=r"teachers\.silent"):
        Schedule({**teachers(), "silent": NoTeacher()}, ["silent", "weak"], at=[1])
