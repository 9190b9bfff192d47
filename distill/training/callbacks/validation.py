"""Validate at fixed steps and keep the best point.

Instead of Lightning's validation loop, because a stop inside validation must resume exactly: if a signal comes
between two validation batches, the point is left *due*, the checkpoint says so, and the resumed run measures it
before its next step.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from distill.training.callbacks.interruption import Interruption
from distill.training.checkpoint import FolderCheckpoint
from distill.training.distiller import Distiller
from distill.types import Batch

BEST = "best"


class Validation(pl.Callback):
    """``validation/nats_per_token`` every ``every`` steps, before the first and after the last; the best point's
    weights stand in ``<folder>/best``.

    Args:
        batches: the validation text, the same at every point.
        folder: where ``best`` is kept.
        every: optimiser steps between two points.
        interruption: asked between two batches whether to stop.
        last: every point counts as the best so far: the weights of the last one are kept.
    """

    def __init__(
        self, batches: Sequence[Batch], folder: Path, every: int, interruption: Interruption, last: bool = False
    ) -> None:
        self.batches, self.folder, self.every, self.interruption = batches, folder, every, interruption
        self.last = last
        self.best_value, self.best_step = float("inf"), -1
        self.latest: float | None = None
        self.due = True
        self._seen_step = 0

    def state_dict(self) -> dict[str, Any]:
        return {"best_value": self.best_value, "best_step": self.best_step, "due": self.due}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_value, self.best_step = state_dict["best_value"], state_dict["best_step"]
        self.due = state_dict["due"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._seen_step = trainer.global_step
        self._validate_if_due(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step == self._seen_step:
            return
        self._seen_step = step
        self.due = step % self.every == 0 or step == trainer.max_steps
        self._validate_if_due(trainer, pl_module)

    def _validate_if_due(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self.due:
            return
        assert isinstance(module, Distiller)
        value = self._nats_per_token(trainer, module)
        if value is None:
            return
        self.due, self.latest = False, value
        module.teacher.hear(value)
        module.rollout.hear(value)
        for logger in trainer.loggers:
            logger.log_metrics({"validation/nats_per_token": value}, step=trainer.global_step)
        if value < self.best_value or self.last:
            self.best_value, self.best_step = value, trainer.global_step
            if trainer.is_global_zero:
                state = {"step": trainer.global_step, "student": module.student.state_dict()}
                FolderCheckpoint().save_checkpoint(state, self.folder / BEST)

    def _nats_per_token(self, trainer: pl.Trainer, module: Distiller) -> float | None:
        """Over all batches, divided once; None if a signal came between. Every rank does the same text: it is small."""
        module.student.eval()
        total, tokens = torch.zeros((), dtype=torch.float64, device=module.device), 0
        with torch.no_grad(), trainer.precision_plugin.val_step_context():
            for batch in self.batches:
                if self.interruption.requested:
                    module.student.train()
                    return None
                total += module.negative_log_likelihood(batch.to(module.device)).double()
                tokens += batch.tokens
        module.student.train()
        return (total / max(tokens, 1)).item()
