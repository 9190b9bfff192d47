"""Train one subject of a run to its best point: fresh, resumed, or already done.

The subject's folder (``<run>/student``) is an ordinary Hugging Face folder, written whole when the training is over;
while it is not there, ``<run>/checkpoints/student`` says how far the training is.
"""

import copy
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.loggers.logger import Logger
from rich.console import Console
from transformers import PreTrainedModel

from distill import rows
from distill.data.module import DataModule, Saved
from distill.errors import BadInput
from distill.storage import find_fault, read_json, write_folder, write_json
from distill.students.plain import plain
from distill.training.callbacks.interruption import Interruption
from distill.training.callbacks.progress import Showing
from distill.training.callbacks.saving import Saving
from distill.training.callbacks.validation import BEST, Validation
from distill.training.checkpoint import FolderCheckpoint, newest, step_of
from distill.training.distiller import Distiller
from distill.training.tracking import Mirror, RowLogger

FITTED = "fitted.json"


@dataclass(frozen=True)
class Cadence:
    """How often, in optimiser steps; and whose weights are kept.

    Attributes:
        keep: of the best validation point; or of the last step, for a student that does not learn to go on with the
            validation text as it is (on its own text, say), where the best point would be the first.
    """

    validate: int
    checkpoint: int
    keep: Literal["best", "last"] = "best"


@dataclass(frozen=True)
class Fitted:
    """What a training came to.

    Attributes:
        steps: optimiser steps taken.
        best_step: the step whose weights were kept.
        best_value: validation nats per token there.
        tokens: supervised tokens trained on, all steps together.
        teacher_passes: forward passes the teacher made for it.
        written: tokens that models wrote for it to train on.
        gradient_variation: of the gradient's norm over the steps, before clipping: standard deviation / mean.
    """

    steps: int
    best_step: int
    best_value: float
    tokens: int
    teacher_passes: int
    written: int = 0
    gradient_variation: float | None = None


class Fit:
    """One run's trainings, each under its subject's name.

    Args:
        folder: of the run.
        data: gives the stream and the validation batches.
        tokenizer: or processor; saved beside each subject's weights.
        trainer: makes a Lightning trainer of the given callbacks, loggers, plugins and steps.
        cadence: of validation and checkpoints.
        seed: of the rows.
        console: where progress is shown.
        tracker: a logger to mirror the rows to, or None.
        callbacks: makes further callbacks, anew for every subject.
        leader: whether this process keeps the run's books, of several ranks.
        interruption: who watches for signals; None watches for itself, which only a main thread can.
    """

    def __init__(
        self,
        folder: Path,
        data: DataModule,
        tokenizer: Saved,
        trainer: Callable[..., pl.Trainer],
        cadence: Cadence,
        seed: int,
        console: Console,
        tracker: Logger | None = None,
        callbacks: Callable[[], list[pl.Callback]] = list,
        leader: bool = True,
        interruption: Interruption | None = None,
    ) -> None:
        self.folder, self.data, self.tokenizer, self.trainer = folder, data, tokenizer, trainer
        self.cadence, self.seed, self.console = cadence, seed, console
        self.tracker, self.callbacks, self.leader = tracker, callbacks, leader
        self.interruption = interruption

    def __call__(self, subject: str, make: Callable[[], Distiller]) -> Fitted:
        """Train ``subject`` unless its folder is already there. Its weights are then in ``<run>/<subject>``.

        Raises:
            Interrupted: a signal asked for a stop; the same call goes on from there.
        """
        done = self.folder / subject
        if done.exists():
            return self._told(done)
        module = make()
        checkpoints = self.folder / "checkpoints" / subject
        checkpoints.mkdir(parents=True, exist_ok=True)
        start = newest(checkpoints)
        step = step_of(start) if start else 0
        if self.leader:
            rows.cut_after(self.folder / rows.METRICS, subject, step if start else -1)
        with (self.interruption or Interruption()).watched() as interruption:
            how = (self.cadence.validate, interruption, self.cadence.keep == "last")
            validation = Validation(self.data.validation_batches(), checkpoints, *how)
            saving = Saving(checkpoints, self.cadence.checkpoint, interruption)
            showing = Showing(self.console, subject, validation)
            trainer = self._trainer(subject, module, [validation, saving, showing])
            trainer.fit(module, train_dataloaders=self._stream(trainer, step), ckpt_path=start, weights_only=True)
        fitted = Fitted(
            steps=trainer.global_step,
            best_step=validation.best_step,
            best_value=validation.best_value,
            tokens=module.tally.seen,
            teacher_passes=module.teacher.passes,
            written=module.written_tokens(),
            gradient_variation=module.norms.variation,
        )
        if trainer.is_global_zero:
            self._keep(module.student, checkpoints, done, fitted)
        trainer.strategy.barrier()
        return fitted

    def at(self, folder: Path) -> "Fit":
        """The same trainings in another folder."""
        other = copy.copy(self)
        other.folder = folder
        return other

    def _trainer(self, subject: str, module: Distiller, callbacks: list[pl.Callback]) -> pl.Trainer:
        loggers: list[Logger] = [RowLogger(self.folder, subject, self.seed, module.units)]
        if self.tracker:
            loggers.append(Mirror(self.tracker, subject, self.console.print))
        return self.trainer(
            max_steps=module.steps,
            callbacks=[*callbacks, *self.callbacks()],
            logger=loggers,
            plugins=[FolderCheckpoint()],
            default_root_dir=self.folder,
        )

    def _stream(self, trainer: pl.Trainer, step: int) -> Any:
        accumulated = trainer.accumulate_grad_batches
        return self.data.stream(start=step * accumulated, rank=trainer.global_rank, world_size=trainer.world_size)

    def _keep(self, student: PreTrainedModel, checkpoints: Path, done: Path, fitted: Fitted) -> None:
        """The best point's weights as a Hugging Face folder; then the checkpoints have served."""
        state = FolderCheckpoint().load_checkpoint(checkpoints / BEST)
        student.load_state_dict(state["student"])
        student = plain(student.eval())

        def fill(draft: Path) -> None:
            student.save_pretrained(draft)
            self.tokenizer.save_pretrained(draft)
            write_json(draft / FITTED, asdict(fitted))

        write_folder(done, fill)
        shutil.rmtree(checkpoints)

    def _told(self, done: Path) -> Fitted:
        fault = find_fault(done)
        if fault:
            raise BadInput(
                str(done), f"is damaged ({fault})", remedy="remove the folder; the same command makes it anew"
            )
        told = read_json(done / FITTED)
        if told is None:
            raise BadInput(str(done), f"has no {FITTED}", remedy="remove the folder; the same command makes it anew")
        return Fitted(**told)
