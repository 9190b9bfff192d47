"""Which losses of a pass the compiled row kernel evaluates, and whether it can.

Active losses decide, all or none: a term of weight 0 changes no path, and so no bit of a gradient. Terms of weight 0
that have no closed form are measured in torch, beside the kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.losses.kernel import kernel
from distill.losses.loss import VocabularyLoss
from distill.losses.rows import Rows
from distill.types import Signal


@dataclass(frozen=True)
class Shortcut:
    """The kernel's part of a pass.

    Attributes:
        rows: evaluates the losses ``done``.
        done: places of losses with a closed form, active ones first.
        left: places of the others, all of weight 0.
    """

    rows: Rows
    done: list[int]
    left: list[int]

    @classmethod
    def of(
        cls,
        losses: Sequence[VocabularyLoss],
        active: int,
        scale: float,
        temperature: float | None,
        signal: Signal | None,
        targets: Tensor,
        vocabulary: int,
    ) -> "Shortcut | None":
        """None where an active loss has no closed form, or there is no kernel.

        Args:
            losses: of the pass, the first ``active`` of which have a weight.
            scale: of the student's head.
            temperature: the objective's; None where each token has its own.
            signal: None if it is not the teacher's logits over the whole vocabulary.
            targets: (N,).
            vocabulary: V.
        """
        if scale <= 0 or not targets.numel() or targets.is_cuda or targets.min() < 0 or targets.max() >= vocabulary:
            return None
        said = [loss.closed(temperature) if signal is not None or not loss.asks else None for loss in losses]
        if None in said[:active] or not any(said):
            return None
        function = kernel()
        if function is None:
            return None
        known = {place: closed for place, closed in enumerate(said) if closed is not None}
        left = [place for place in range(len(losses)) if place not in known]
        return cls(Rows(list(known.values()), active, scale, function), list(known), left)

    def takes(self, raw: Tensor, told: tuple[Tensor, ...]) -> bool:
        """Whether these are numbers that the kernel reads: float32, on the CPU, row after row."""
        read = [raw, *told] if self.rows.hears else [raw]
        shape = read[0].shape
        return all(x.dtype is torch.float32 and x.is_cpu and x.is_contiguous() and x.shape == shape for x in read)
