"""Whether a store still says what its teacher says: the same batch asked again, and compared token by token.

Checksums find what a disk did. This finds what a checksum cannot: rows that somebody wrote on purpose, a teacher that
answers otherwise on another machine, a key that forgot something.
"""

from torch import Tensor

from distill.teachers.samples import samples
from distill.teachers.stored import Stored
from distill.types import Batch

NOISE = {"float32": 5e-5, "float16": 1e-2, "bfloat16": 5e-2}
"""How far a teacher of a dtype may be from itself in a batch of other rows, in units of a token's largest number."""


def gaps(stored: Stored, batch: Batch) -> Tensor:
    """(N,) how far what is stored about each token is from what the teacher says now, as its kind measures it.

    Everything in the batch must be stored; the source is asked once.
    """
    live = stored.exact.teach(batch, stored.signal.request)
    assert live is not None
    kept = stored.teach(batch, stored.signal.request)
    return stored.signal.gap(kept, live, [one.span for one in samples(batch)], stored.room)


def allowed(stored: Stored) -> float:
    """The kind's bound, and what the teacher itself differs by in other company."""
    model = stored.exact.model
    return stored.signal.bound + NOISE["float32" if model is None else str(model.dtype).removeprefix("torch.")]
