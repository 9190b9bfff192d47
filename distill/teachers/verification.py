"""Whether a store still says what its teacher says: the same batch asked again, and compared token by token.

Checksums find what a disk did. This finds what a checksum cannot: rows that somebody wrote on purpose, a teacher that
answers otherwise on another machine, a key that forgot something.
"""

import torch
from torch import Tensor

from distill.signals.kept.kept import CHUNK
from distill.teachers.samples import samples
from distill.teachers.stored import Stored
from distill.types import Batch, Request, Signal


def gaps(stored: Stored, batch: Batch) -> Tensor:
    """(N,) total variation between what is stored about each token and what the teacher says now.

    Formula: ½ Σ |p_stored − p_live| on the store's own support and at its own temperature (1 if it has none); for
    draws ½ Σ |t_stored − t_drawn again|

    Everything in the batch must be stored; the source is asked once.
    """
    live = stored.exact.teach(batch, Request())
    assert live is not None
    kept = stored.teach(batch, Request())
    asked = list(samples(batch))
    if "sampled" in stored.provides:
        rows = stored.signal.write(live, [one.span for one in asked], stored.room)
        counts = [one.tokens for one in asked]
        again = stored.signal.read([memoryview(r) for r in rows], counts, stored.room, None, batch.targets.device)
        return _of_draws(kept, again, batch.teacher_positions.numel(), stored.vocabulary)
    return _of_distributions(kept, live, batch.teacher_positions.numel(), stored.signal.tied or 1.0)


def _of_distributions(kept: Signal, live: Signal, tokens: int, temperature: float) -> Tensor:
    found = []
    for start in range(0, tokens, CHUNK):
        rows = slice(start, min(start + CHUNK, tokens))
        (logits,) = live.chunk(rows)  # in the student's place: the support is made on both sides
        log_p, log_q = kept.pair(kept.chunk(rows), logits, temperature)
        found.append(0.5 * (log_p.exp() - log_q.exp()).abs().sum(-1))
    return torch.cat(found)


def _of_draws(kept: Signal, again: Signal, tokens: int, vocabulary: int) -> Tensor:
    found = []
    for start in range(0, tokens, CHUNK):
        rows = slice(start, min(start + CHUNK, tokens))
        sides = [signal.chunk(rows) for signal in (kept, again)]
        whole = [log_t.new_zeros(len(ids), vocabulary).scatter_add_(-1, ids, log_t.exp()) for ids, log_t in sides]
        found.append(0.5 * (whole[0] - whole[1]).abs().sum(-1))
    return torch.cat(found)
