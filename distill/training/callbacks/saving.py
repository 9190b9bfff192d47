"""Save everything every n steps, and at once when a signal asks for it."""

from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytorch_lightning as pl

from distill.errors import Interrupted
from distill.training.callbacks.interruption import Interruption
from distill.training.checkpoint import retire, step_folder


class Saving(pl.Callback):
    """A checkpoint folder every ``every`` optimiser steps; stands after ``Validation`` in the list, so that a
    checkpoint holds what was measured at its own step.

    Args:
        folder: where ``step-…`` folders go.
        every: optimiser steps between two of them.
        interruption: asked after every step whether to save and stop.
    """

    def __init__(self, folder: Path, every: int, interruption: Interruption) -> None:
        self.folder, self.every, self.interruption = folder, every, interruption
        self._seen_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._seen_step = trainer.global_step
        self.interruption.listen()
        self._stop_if_asked(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step == self._seen_step:
            return
        self._seen_step = step
        if step % self.every == 0 and step < trainer.max_steps:
            self._save(trainer)
        self._stop_if_asked(trainer)

    def _save(self, trainer: pl.Trainer) -> Path:
        place = step_folder(self.folder, trainer.global_step)
        if not place.exists():
            trainer.save_checkpoint(place)
            if trainer.is_global_zero:
                retire(self.folder)
        return place

    def _stop_if_asked(self, trainer: pl.Trainer) -> None:
        asked = trainer.strategy.reduce_boolean_decision(bool(self.interruption.requested), all=False)
        if asked:
            place = self._save(trainer)
            raise Interrupted(
                str(place), self.interruption.requested or SIGTERM, f"stopped at step {trainer.global_step}"
            )
