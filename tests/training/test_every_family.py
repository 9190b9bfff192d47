"""One step for all: every family is trained, kept, loaded and measured by the same parts, with no branch on it."""

import io

import pytest
import pytorch_lightning as pl
import torch
from rich.console import Console

from distill.alignment.identity import Identity
from distill.data.module import DataModule
from distill.evaluation.agreement import Agreement
from distill.evaluation.evaluation import Evaluation
from distill.evaluation.footprint import Footprint
from distill.evaluation.likelihood import Likelihood
from distill.evaluation.speed import Speed
from distill.evaluation.subject import Subject
from distill.folders import load_model
from distill.models import shape
from distill.rollouts.data import Data
from distill.signals.kept.states import KeptStates
from distill.students.layer_drop import LayerDrop
from distill.teachers.live import Live
from distill.teachers.stored import Stored
from distill.training.distiller import Distiller
from distill.training.fit import Cadence, Fit
from distill.training.optim import AdamW
from distill.types import Request, Task
from tests import families
from tests.training.conftest import distilling


class Drawn(DataModule):
    """Batches that are drawn: what a modality's data file has to give, and no more."""

    kind = "drawn"
    sequence_length, batch_size, seed = families.WIDTH, 1, 0

    def __init__(self, name, tokenizer):
        super().__init__()
        self.family = families.KINDS[name][0]
        self.tokenizer = tokenizer
        make = [families.batch(name, index) for index in range(5)]
        self.rows = {"train": make[:3], "validation": make[3:4], "test": make[4:]}

    def prepare(self, tokenizer=None):
        return self.tokenizer

    @property
    def collate(self):
        return lambda rows: rows[0]

    @property
    def facts(self):
        raise NotImplementedError

    @property
    def fingerprint(self):
        return "drawn"


def trainer(**given):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return pl.Trainer(accelerator="cpu", max_epochs=-1, limit_val_batches=0, num_sanity_val_steps=0, **quiet, **given)


@pytest.fixture
def taught(tmp_path, tokenizer):
    """``taught(name)`` -> the folder of a teacher of that kind."""

    def make(name):
        families.model(name, layers=3, width=24, seed=5).save_pretrained(tmp_path / "teacher")
        tokenizer.save_pretrained(tmp_path / "teacher")
        return str(tmp_path / "teacher")

    return make


ONE_EACH = ["bert_classifier", "bert_masked", "bart", "whisper", "llava", "ctc"]
"""A model of each family; the others take their way too when the slow tests are run."""


@pytest.mark.parametrize(
    "name",
    [name if name in ONE_EACH else pytest.param(name, marks=pytest.mark.slow) for name in sorted(families.KINDS)],
)
def test_trained_kept_loaded_and_measured(name, taught, tmp_path, tokenizer):
    data, teacher = Drawn(name, tokenizer), Live(taught(name))
    objective = distilling()

    def make():
        student = families.model(name, seed=3)
        objective.prepare(shape(student), teacher.shape)
        return Distiller(student, objective, teacher, Data(), Identity(), AdamW(1e-2, warmup=0), 3, log_every=1)

    fit = Fit(tmp_path, data, tokenizer, trainer, Cadence(3, 3), 0, Console(file=io.StringIO()))
    fitted = fit("student", make)
    assert (fitted.steps, fitted.teacher_passes) == (3, 3)
    student = load_model(str(tmp_path / "student"), data.task)
    size = shape(student).vocabulary
    subjects = [Subject("teacher", teacher.model, tokenizer, size), Subject("student", student, tokenizer, size)]
    measures = {"likelihood": Likelihood(), "agreement": Agreement()}
    evaluation = Evaluation(measures, {"footprint": Footprint(8), "speed": Speed()})
    found = evaluation.evaluate(subjects, data.test_batches(), teacher=teacher, data=data)
    told = {(row.subject, row.metric): row.value for row in found.rows}
    assert told["teacher", "kl_to_teacher"] == pytest.approx(0, abs=1e-6)
    assert told["student", "kl_to_teacher"] > 0
    assert ("student", "bits_per_byte") not in told  # these targets spell nothing
    assert ("student", "decode_tokens_per_second") not in told  # which is measured of text


@pytest.mark.parametrize("name", ["bert_classifier", "bart", "whisper", "llava", "ctc"])
def test_what_was_stored_is_what_it_says(name, taught, tmp_path):
    teacher, batch = Live(taught(name)), families.batch(name)
    stored = Stored(Live(teacher.folder), KeptStates("float32"), cache=str(tmp_path / "cache"))
    said, kept = teacher.teach(batch, Request()), stored.teach(batch, Request())
    again = Stored(Live(teacher.folder), KeptStates("float32"), cache=str(tmp_path / "cache")).teach(batch, Request())
    rows = slice(0, batch.tokens)
    assert torch.equal(kept.chunk(rows)[0], again.chunk(rows)[0])
    torch.testing.assert_close(kept.chunk(rows)[0], said.chunk(rows)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["bart", "marian", "t5", "whisper", "vision_encoder_decoder", "llava"])
def test_layers_are_dropped_of_the_decoder_alone(name, taught, tokenizer):
    folder = taught(name)
    recipe = LayerDrop(folder, layers=[0, 2]).of(Task(families.KINDS[name][0]))
    student, whole = recipe.build(tokenizer), load_model(folder)
    assert recipe.shape(300) == shape(student)
    dropped = sum(one.numel() for one in whole.parameters()) - sum(one.numel() for one in student.parameters())
    assert shape(student).layers == 2
    kept = dict(whole.named_parameters())
    same = [key for key, value in student.named_parameters() if key in kept and torch.equal(value, kept[key])]
    gone = [key for key in kept if key not in dict(student.named_parameters())]
    assert sum(kept[key].numel() for key in gone) == dropped
    assert all("encoder" not in key.split(".")[:2] and "vision" not in key for key in gone)
    assert len(same) >= len(kept) - 2 * len(gone)  # all but the layer that moved


def test_a_student_refuses_what_it_cannot_be(tokenizer):
    from distill.errors import BadInput
    from distill.students.from_scratch import FromScratch

    with pytest.raises(BadInput, match="makes causal models, and the data wants speech"):
        FromScratch().of(Task("speech"))
