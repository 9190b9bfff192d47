"""Show where a training stands: a bar on a terminal, plain lines elsewhere."""

import time
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from distill.training.callbacks.validation import Validation
from distill.training.distiller import Distiller


class Showing(pl.Callback):
    """Steps, the training loss, tokens per second, the latest and the best validation.

    Args:
        console: where to.
        subject: whose training.
        validation: whose numbers are shown.
        seconds: between two plain lines when the console is no terminal.
    """

    def __init__(self, console: Console, subject: str, validation: Validation, seconds: float = 10.0) -> None:
        self.console, self.subject, self.validation, self.seconds = console, subject, validation, seconds
        self.bar: Progress | None = None
        self.task: Any = None
        self.began = self.told = 0.0
        self.seen = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Distiller)
        self.began = self.told = time.monotonic()
        self.seen = pl_module.tally.seen
        if self.console.is_terminal and trainer.is_global_zero:
            self.bar = Progress(
                TextColumn("{task.description:<16}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[said]}", style="dim"),
                console=self.console,
                refresh_per_second=4,
            )
            self.task = self.bar.add_task(self.subject, total=trainer.max_steps, completed=trainer.global_step, said="")
            self.bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Distiller)
        now = time.monotonic()
        often = 0.25 if self.bar else self.seconds
        if now - self.told < often and trainer.global_step < trainer.max_steps:
            return
        self.told = now
        if self.bar:
            self.bar.update(self.task, completed=trainer.global_step, said=self._said(pl_module, now))
        elif trainer.is_global_zero:
            step = f"step {trainer.global_step}/{trainer.max_steps}"
            self.console.print(f"{self.subject}: {step}, {self._said(pl_module, now)}", soft_wrap=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.bar:
            self.bar.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if self.bar:
            self.bar.stop()

    def _said(self, module: Distiller, now: float) -> str:
        speed = (module.tally.seen - self.seen) / max(now - self.began, 1e-9)
        said = [f"{speed:,.0f} tokens/s"]
        if self.validation.latest is not None:
            best = f"best {self.validation.best_value:.3f} at {self.validation.best_step}"
            said.append(f"validation {self.validation.latest:.3f} nats/token ({best})")
        return ", ".join(said)
