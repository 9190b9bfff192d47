"""Where and why a value is not finite: looked for only after the sum of a step has shown that one is.

Finding it costs a second pass; the check itself costs nothing. Nothing is replaced by a zero on the way:
where the mathematics gives no number, training stops and says which sample did it.
"""

import torch
from torch import Tensor

from distill.errors import NumericalStop
from distill.losses.vocabulary import Pass
from distill.products import working_dtype
from distill.types import Batch, Outputs


def stop(outputs: Outputs, batch: Batch, this: Pass, names: list[str]) -> NumericalStop:
    """The error that names the first token whose value or gradient is not finite.

    Args:
        outputs: the student's.
        batch: whose sample hashes and positions are named.
        this: the pass that gave it.
        names: of ``this.losses``.
    """
    head = this.head
    with torch.no_grad(), torch.autocast(outputs.hidden.device.type, enabled=False):
        weight = head.weight.to(working_dtype(outputs.hidden, head.weight))
        for rows, _, raw, told in this.walk(outputs.hidden, weight, head.bias):
            found = _first(this, names, raw, rows, told)
            if found is not None:
                return _error(batch, rows.start + found[0], found[1])
    return NumericalStop("gradient", "not finite, though every loss is", remedy="lower the learning rate")


def finite(value: Tensor, name: str, batch: Batch) -> None:
    """Raise if a state loss (N,) is not finite anywhere."""
    bad = (~torch.isfinite(value)).nonzero()
    if bad.numel():
        raise _error(batch, int(bad[0, 0]), f"loss/{name} is not finite")


def _first(this: Pass, names: list[str], raw: Tensor, rows: slice, told: tuple[Tensor, ...]) -> tuple[int, str] | None:
    """(row in the chunk, reason) of the first token that is undefined, its deepest cause first."""
    chunk = this.chunk(raw, this.targets[rows], told)
    logits = chunk.logits
    causes: list[tuple[Tensor, str]] = []
    if this.signal is not None and any(loss.asks for loss in this.losses):
        log_p, _ = chunk.pair()
        causes.append((log_p.isnan().any(-1), "teacher logits are not finite"))
    student = logits.isnan().any(-1) | logits.isposinf().any(-1) | logits.isneginf().all(-1)
    causes.append((student, "student logits are not finite"))
    values = this.evaluate(raw, this.targets[rows], told)
    for name, value in list(zip(names, values, strict=True))[: this.active]:
        causes.append((~torch.isfinite(value), _undefined(name)))
    bad = torch.stack([where for where, _ in causes])  # (causes, C)
    if not bad.any():
        return None
    row = int(bad.any(0).nonzero()[0, 0])
    return row, causes[int(bad[:, row].nonzero()[0, 0])][1]


def _undefined(name: str) -> str:
    return f"loss/{name} is undefined: one side excludes a token that the other allows"


def _error(batch: Batch, token: int, reason: str) -> NumericalStop:
    owner = int(batch.owners[token])
    first = int((batch.owners == owner).nonzero()[0, 0])
    position = int(batch.positions[token])
    return NumericalStop(
        f"sample {batch.samples[owner]}, position {position} (its supervised token {token - first})",
        reason,
        remedy="look at this sample, or at the model that answered it",
    )
