"""A few draws of every position: the smallest store, unbiased for soft cross-entropy.

A row is four columns of which two have as many numbers as there are different tokens: how many those are at each
position, all their ids, all their counts.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch

from distill.ranges import Count, Natural, Positive
from distill.signals.kept.kept import CHUNK, Kept, Room, Span, id_type, logits, refuse_misshapen, refuse_nan
from distill.signals.sampled import Sampled
from distill.types import Head, Signal


class KeptDraws(Kept):
    """Random sampling: n draws a token with their counts, about a quarter as many different tokens.

    Formula: t_i = c_i / n, c ~ Multinomial(n, p_T)
    Source: Anshumann et al. (2025). Sparse Logit Sampling: Accelerating Knowledge Distillation in LLMs.
        arXiv:2503.16870

    Draws are a function of the seed and the sample, so whoever fills the store gets the same.

    Args:
        draws: n.
        temperature: of the distribution that is drawn from; the only one at which a loss may ask.
        seed: of the draws.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"sampled"})

    def __init__(self, draws: Count = 50, temperature: Positive = 1.0, seed: Natural = 0) -> None:
        self.draws, self.temperature, self.seed = draws, float(temperature), seed

    @property
    def count_type(self) -> str:
        return "u1" if self.draws < 1 << 8 else "<u4"

    @property
    def tied(self) -> float:
        return self.temperature

    @property
    def note(self) -> str:
        return f"the teacher says {self.draws} draws a token: the loss is an unbiased estimate of soft cross-entropy"

    @property
    def bound(self) -> float:
        return 0.1  # a draw that falls on the border of two tokens may fall on the other side of it

    def gap(self, kept: Signal, live: Signal, spans: Sequence[Span], room: Room) -> torch.Tensor:
        """The draws are a function of the sample, so they can be drawn again.

        Formula: ½ Σ |t_kept − t_again|
        """
        rows = [memoryview(row) for row in self.write(live, spans, room)]
        again = self.read(rows, [span.stop - span.start for span in spans], room, None, torch.device("cpu"))
        found = []
        for start in range(0, max(span.stop for span in spans), CHUNK):
            shares = []
            for signal in (kept, again):
                ids, log_t = (part.cpu() for part in signal.chunk(slice(start, start + CHUNK)))
                shares.append(log_t.new_zeros(len(ids), room.vocabulary).scatter_add_(-1, ids, log_t.exp()))
            found.append(0.5 * (shares[0] - shares[1]).abs().sum(-1))
        return torch.cat(found)

    def bytes_per_token(self, room: Room) -> float:
        several = min(self.draws, room.vocabulary)
        return (
            np.dtype(self.count_type).itemsize * (1 + several) + np.dtype(id_type(room.vocabulary)).itemsize * several
        )

    def write(self, signal: Signal, spans: Sequence[Span], room: Room) -> list[bytes]:
        tokens = max(span.stop for span in spans)
        uniform = np.zeros((tokens, self.draws))
        for span in spans:
            uniform[span.start : span.stop] = self._uniform(span)
        ids: list[np.ndarray] = []
        counts: list[np.ndarray] = []
        for rows, values in logits(signal, tokens):
            refuse_nan(values, [Span(s.start - rows.start, s.stop - rows.start, s.name) for s in spans])
            drawn = Sampled.of(values, torch.from_numpy(uniform[rows]).to(values.device), self.temperature)
            ids += list(drawn.ids.cpu().numpy())
            counts += list(drawn.counts.cpu().numpy())
        return [self._row(ids[s.start : s.stop], counts[s.start : s.stop], room) for s in spans]

    def read(
        self, rows: Sequence[memoryview], counts: Sequence[int], room: Room, head: Head | None, device: torch.device
    ) -> Signal:
        read = [self._columns(row, count, room) for row, count in zip(rows, counts, strict=True)]
        different, ids, times = (np.concatenate(parts) for parts in zip(*read, strict=True))
        width = int(different.max()) if len(different) else 0
        filled = np.arange(width) < different[:, None]  # (N, K)
        laid, counted = np.zeros(filled.shape, np.int64), np.zeros(filled.shape, np.int64)
        laid[filled], counted[filled] = ids, times
        on = [torch.from_numpy(part).to(device) for part in (laid, counted)]
        return Sampled(on[0], on[1], self.temperature, room.vocabulary)

    def _uniform(self, span: Span) -> np.ndarray:
        """(n, draws) in [0, 1), of raw 64-bit draws, which numpy never changes between versions."""
        bits = np.random.PCG64(np.random.SeedSequence([self.seed, *span.name]))
        raw = bits.random_raw((span.stop - span.start) * self.draws)
        return (np.asarray(raw) >> np.uint64(11)).reshape(-1, self.draws) * 2.0**-53

    def _row(self, ids: list[np.ndarray], counts: list[np.ndarray], room: Room) -> bytes:
        kept = [count > 0 for count in counts]
        different = np.asarray([mask.sum() for mask in kept])
        flat = np.concatenate([one[mask] for one, mask in zip(ids, kept, strict=True)])
        times = np.concatenate([one[mask] for one, mask in zip(counts, kept, strict=True)])
        typed = ((different, self.count_type), (flat, id_type(room.vocabulary)), (times, self.count_type))
        return b"".join(values.astype(kind).tobytes() for values, kind in typed)

    def _columns(self, row: memoryview, count: int, room: Room) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        small, wide = np.dtype(self.count_type), np.dtype(id_type(room.vocabulary))
        refuse_misshapen(len(row) >= count * small.itemsize)
        different = np.frombuffer(row, small, count)
        total = int(different.sum(dtype=np.int64))
        begin = count * small.itemsize
        refuse_misshapen(len(row) == begin + total * (wide.itemsize + small.itemsize))
        ids = np.frombuffer(row, wide, total, begin)
        refuse_misshapen(not total or (int(ids.min()) >= 0 and int(ids.max()) < room.vocabulary))
        return different, ids, np.frombuffer(row, small, total, begin + total * wide.itemsize)
