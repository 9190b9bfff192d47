"""The one LightningModule. Its training step is the whole story, in six verbs:

*roll* (the rollout may replace the text) → *answer* (the student, at supervised positions) → *teach* (the teacher's
signal, no gradient) → *align* (into student tokens) → *weigh* (the objective: a total and its named parts) → *log*.

Nothing here branches on a method or a modality: with ``rollout=data`` and ``alignment=identity`` two verbs are
identities, and a run without a teacher is the same sentence with a teacher that has nothing to say.

Left out on purpose: Lightning's validation loop and ``self.log``. ``callbacks`` decide when to validate, so that a
resumed run does it at the same steps; values are logged every n steps, without a device synchronisation in between.
"""

import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from transformers import PreTrainedModel

from distill.alignment.alignment import Alignment
from distill.errors import NumericalStop
from distill.losses.balance import Balance
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.loss import Loss
from distill.losses.objective import Objective
from distill.losses.pull import Seen, trained
from distill.models import answer
from distill.rollouts.rollout import Rollout
from distill.teachers.teacher import Teacher
from distill.training.optim import Optim
from distill.training.randomness import reseed
from distill.training.spread import Spread
from distill.training.tally import Tally
from distill.types import Batch, Moment


class Distiller(pl.LightningModule):
    """A student learning from a teacher.

    Only the student and the objective (projections, adaptive states) are submodules: the teacher is no
    ``nn.Module``, so it is neither trained, nor checkpointed, nor wrapped by DDP or FSDP.

    Args:
        student: the model to train.
        objective: sums named losses over supervised tokens.
        teacher: answers each batch; ``NoTeacher`` for plain training.
        rollout: who writes the text.
        alignment: from the teacher's tokens to the student's.
        optim: makes the optimiser and its schedule.
        steps: optimiser steps of the whole run, the horizon of every schedule.
        seed: every random draw of micro-step k is a function of (seed, k, rank).
        vocabulary: ids that both models share; None for all of the student's.
        log_every: optimiser steps between two logged points.
        criterion: how far it is from the data, told as nats per token; the cross-entropy of the targets if None.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        objective: Objective,
        teacher: Teacher,
        rollout: Rollout,
        alignment: Alignment,
        optim: Optim,
        steps: int,
        seed: int = 0,
        vocabulary: int | None = None,
        log_every: int = 10,
        criterion: Loss | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.objective = objective
        self.likelihood = Objective({"nats_per_token": criterion or CrossEntropy()})
        self.teacher, self.rollout, self.alignment, self.optim = teacher, rollout, alignment, optim
        self.steps, self.seed, self.vocabulary, self.log_every = steps, seed, vocabulary, log_every
        self.tally = Tally()
        self.norms = Spread()
        self.balance = Balance(objective)
        self.seen: Seen | None = None
        self.told: Mapping[str, float] = {}
        self.norm = torch.zeros(())
        self.logged_at = time.perf_counter()
        self.logged_tokens = 0

    def on_fit_start(self) -> None:
        self.teacher.to(self.device)
        self.student.train()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        moment = Moment(self.global_step, self.steps)
        reseed(self.seed, self._micro_step(index), self.global_rank)
        self.teacher.follow(self.student, moment)
        batch = self.rollout.roll(batch, self.student, moment)
        outputs = answer(self.student, batch.inputs, batch.positions, self.objective.request, self.vocabulary)
        signal = self.teacher.teach(batch, self.objective.teacher_request)
        signal = self.alignment.align(signal, batch)
        if self._logs_now:
            self.rollout.watch(outputs, signal, batch)
        weighed = self.objective(outputs, signal, batch, moment)
        self.tally.add(weighed, batch)
        self.seen = Seen(outputs, signal, batch, moment)
        if self._logs_now and self._closes(index):
            self.told = self.teacher.account(self.objective.typical_temperature, outputs)
        return weighed.total

    def on_before_backward(self, loss: Tensor) -> None:
        if self.balance.due(self.global_step):
            assert self.seen is not None, "a step keeps what it saw until its backward pass"
            self.balance.add(self.seen, trained(self.student))

    def on_after_backward(self) -> None:
        self.seen = None  # layers and attention maps are large

    def negative_log_likelihood(self, batch: Batch) -> Tensor:
        """The summed criterion of a batch in nats, the measure that chooses a run's best point."""
        outputs = answer(self.student, batch.inputs, batch.positions, self.likelihood.request, self.vocabulary)
        return self.likelihood(outputs, None, batch, Moment(self.global_step, self.steps)).total

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Turn summed gradients into means over the supervised tokens of the whole step, once.

        Lightning has divided each micro-batch's loss by the number of micro-batches, DDP and FSDP have divided by the
        number of ranks; both are undone here, because a mean of means is wrong when lengths differ.
        """
        tokens = self.tally.close(self.trainer)
        scale = self.trainer.accumulate_grad_batches * self.trainer.world_size / tokens
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        for gradient in gradients:
            gradient.mul_(scale)
        norm = self.norm = torch.nn.utils.get_total_norm(gradients)
        self._refuse_non_finite(norm)
        self.norms.add(norm.item())
        if self._logs_now:
            self._log(norm, optimizer.param_groups[0]["lr"])
        self.balance.close(self.global_step, tokens, self._over_ranks)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """As Lightning clips, to the bit, but by the norm that is known already, and only where torch's factor is less
        than 1: with 1 it would be one more pass over all gradients for nothing."""
        if self.trainer.world_size > 1 or gradient_clip_algorithm not in (None, "norm") or not gradient_clip_val:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val / (self.norm + 1e-6) < 1:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grads_with_norm_(parameters, gradient_clip_val, self.norm)

    @property
    def units(self) -> dict[str, str]:
        """Of what it logs, by name."""
        told = self.objective.units()
        told |= {**self.teacher.units, **self.rollout.units()}
        return told | {"gradient_norm": told["loss/total"], "learning_rate": "1", "tokens_per_second": "tokens/s"}

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer, schedule = self.optim.build(self.named_parameters(), self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["teacher_passes"] = self.teacher.passes
        checkpoint["teacher"] = self.teacher.state()
        checkpoint["tokens_seen"] = self.tally.seen
        checkpoint["norms"] = self.norms.state()
        checkpoint["rollout"] = self._of_ranks(self.rollout.state())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.teacher.passes = checkpoint["teacher_passes"]
        self.teacher.restore(checkpoint.get("teacher", {}))
        self.tally.seen = self.logged_tokens = checkpoint["tokens_seen"]
        if told := checkpoint.get("norms"):
            self.norms.restore(told)
        if told := checkpoint.get("rollout"):
            self.rollout.restore(told[self.global_rank % len(told)])

    def written_tokens(self) -> int:
        """Tokens that the rollout had models write, on all ranks."""
        return int(self._over_ranks(torch.tensor(float(self.rollout.written), device=self.device)).item())

    @property
    def _logs_now(self) -> bool:
        return (self.global_step + 1) % self.log_every == 0 or self.global_step == 0

    def _of_ranks(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        """What every rank holds of its own, by rank."""
        if self.trainer.world_size == 1:
            return [state]
        told: list[dict[str, Any]] = [{} for _ in range(self.trainer.world_size)]
        torch.distributed.all_gather_object(told, state)
        return told

    def _over_ranks(self, value: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(value, reduce_op="sum") if self.trainer.world_size > 1 else value

    def _closes(self, index: int) -> bool:
        """Whether a micro-step is the last one of its optimiser step."""
        return (index + 1) % self.trainer.accumulate_grad_batches == 0

    def _micro_step(self, index: int) -> int:
        accumulated = self.trainer.accumulate_grad_batches
        return self.global_step * accumulated + index % accumulated

    def _refuse_non_finite(self, norm: Tensor) -> None:
        if not torch.isfinite(norm):
            raise NumericalStop(
                f"step {self.global_step}",
                f"the gradient's norm is {norm.item()}",
                value=f"samples {', '.join(sample[:12] for sample in self.tally.samples)}",
                remedy="lower the learning rate or set trainer.gradient_clip_val; the last checkpoint is untouched",
            )

    def _log(self, norm: Tensor, learning_rate: float) -> None:
        now, tokens = time.perf_counter(), self.tally.seen
        values = {f"loss/{name}": value for name, value in self.tally.means().items()}
        values |= {"gradient_norm": norm.item(), "learning_rate": learning_rate, **self.alignment.account()}
        values |= self.told
        values |= {**self.objective.in_force(), **self.rollout.account()}
        if self.global_step > 0:
            values["tokens_per_second"] = (tokens - self.logged_tokens) / (now - self.logged_at)
        self.logged_at, self.logged_tokens = now, tokens
        for logger in self.loggers:
            logger.log_metrics(values, step=self.global_step + 1)
