"""How hard each term of the objective pulls at the student, and whether two of them pull apart.

It looks at the very step that is being taken, between the forward and the backward pass, and leaves nothing behind: a
run with it is the run without it, bit for bit.

Left out on purpose: students whose parameters are sharded over devices, where no rank holds a whole gradient. Under
plain data parallelism each rank sees its own micro-batch, and the first rank's is logged.
"""

from itertools import combinations
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from distill.errors import NumericalStop
from distill.losses.pull import Seen, pull, trained
from distill.ranges import Count
from distill.training.distiller import Distiller


class GradientAnatomy(pl.Callback):
    """Log ``gradient/<term>/norm`` and ``gradient/<a>~<b>/cosine`` every so many optimiser steps.

    Formula: g_i = ∂ term_i / ∂ student, per supervised token, unweighted; norm ‖g_i‖, cosine g_i · g_j / (‖g_i‖ ‖g_j‖)
    Source: Yu et al. (2020). Gradient Surgery for Multi-Task Learning. arXiv:2001.06782

    What a term adds to the step is its weight times its norm. A cosine below 0 says that a step along one term undoes
    some of the other. Of a step of several micro-batches the first is looked at. A term that is not finite by itself
    (one of weight 0 may be) or has no gradient has no rows.

    Args:
        every: optimiser steps between two looks; one costs a backward pass a term.
    """

    def __init__(self, every: Count = 10) -> None:
        self.every = every
        self._looked_at = -1

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        assert isinstance(pl_module, Distiller)
        step = trainer.global_step
        if step == self._looked_at or not (step == 0 or (step + 1) % self.every == 0):
            return
        self._looked_at = step
        assert pl_module.seen is not None, "the distiller keeps what a step saw until its backward pass"
        values = _anatomy(_gradients(pl_module, pl_module.seen))
        for logger in trainer.loggers:
            logger.log_metrics(values, step=step + 1)


def _gradients(module: Distiller, seen: Seen) -> dict[str, Tensor]:
    """Each term's gradient on the student, flat, divided by the micro-batch's tokens."""
    parameters, found = trained(module.student), {}
    for name in module.objective.losses:
        try:
            told = pull(module.objective, name, seen, parameters)
        except NumericalStop:
            continue  # the training itself stops if this term has a weight
        if told is not None:
            found[name] = told.gradient / seen.batch.tokens
    return found


def _anatomy(gradients: dict[str, Tensor]) -> dict[str, float]:
    norms = {name: gradient.norm() for name, gradient in gradients.items()}
    values: dict[str, Any] = {f"gradient/{name}/norm": norm for name, norm in norms.items()}
    for a, b in combinations(gradients, 2):
        if norms[a] > 0 and norms[b] > 0:
            values[f"gradient/{a}~{b}/cosine"] = gradients[a] @ gradients[b] / (norms[a] * norms[b])
    return {name: value.item() for name, value in values.items()}
