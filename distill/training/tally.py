"""What a step's micro-batches add up to before the step is taken: sums on the device, read only when logged."""

import pytorch_lightning as pl
import torch
from torch import Tensor

from distill.errors import BadInput
from distill.types import Batch, Weighed


class Tally:
    """Adds micro-batches of one optimiser step; ``close`` turns sums into means over all ranks' tokens.

    Attributes:
        seen: supervised tokens of all steps closed so far.
        samples: whose tokens they were, in the step last closed on this rank.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.tokens = 0
        self.seen = 0
        self.samples: tuple[str, ...] = ()
        self._open_samples: list[str] = []
        self._closed: dict[str, Tensor] = {}
        self._closed_tokens = 1

    def add(self, weighed: Weighed, batch: Batch) -> None:
        terms = {**weighed.terms, "total": weighed.total.detach()}
        self.sums = {name: self.sums[name] + value if name in self.sums else value for name, value in terms.items()}
        self.tokens += weighed.tokens
        self._open_samples.extend(batch.samples)

    def close(self, trainer: pl.Trainer) -> int:
        """End the step: the supervised tokens of all micro-batches and ranks, at least one."""
        names = sorted(self.sums)
        packed = torch.stack([self.sums[name].double().sum() for name in names])
        tokens = torch.tensor(float(self.tokens), dtype=torch.float64, device=packed.device)
        if trainer.world_size > 1:
            packed = trainer.strategy.reduce(packed, reduce_op="sum")
            tokens = trainer.strategy.reduce(tokens, reduce_op="sum")
        self._closed = dict(zip(names, packed, strict=True))
        self._closed_tokens = int(tokens.item()) if trainer.world_size > 1 else self.tokens
        if self._closed_tokens == 0:
            raise BadInput("data", "a whole step holds no supervised token", remedy="raise data.sequence_length")
        self.seen += self._closed_tokens
        self.sums, self.tokens = {}, 0
        self.samples, self._open_samples = tuple(self._open_samples), []
        return self._closed_tokens

    def means(self) -> dict[str, float]:
        """Of the step last closed, per supervised token."""
        return {name: (value / self._closed_tokens).item() for name, value in self._closed.items()}
