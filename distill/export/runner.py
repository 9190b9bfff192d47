"""A model or an exported file as it runs: ids in, logits out, with a cache. What the re-check and the chat talk to.

Imports neither torch nor transformers, so that a process that runs an ONNX file alone needs neither. Batches are left
out on purpose: a file is checked and used one text at a time.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from distill.evaluation.timed import Timed

NOTHING: Mapping[str, np.ndarray] = MappingProxyType({})


class Runner(ABC):
    """Reads one text from left to right.

    Attributes:
        vocabulary: V, the ids that mean something.
        positions: the most tokens that a text may have, or None if nothing limits it.
    """

    vocabulary: int
    positions: int | None

    @abstractmethod
    def restart(self) -> None:
        """Forget what was read."""

    def hear(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Take in what the text is about (a source, a sound, a picture), one row each, after ``restart``."""
        return

    @abstractmethod
    def read(self, ids: Sequence[int], last: bool = False) -> np.ndarray:
        """Logits of what follows each id, float32: (S, V), or (1, V) of the last alone.

        Args:
            ids: S of them, at least one; they follow those read since ``restart``.
            last: only the last position is wanted, which a model may have cheaper.
        """

    def taken(self, ids: Sequence[int], new: int, heard: Mapping[str, np.ndarray] = NOTHING) -> Timed:
        """How long it takes to read a text and to write ``new`` further tokens after the first, the likeliest ones.

        Args:
            ids: of the text.
            new: at least one.
            heard: what it is about; taking it in counts as reading.
        """
        self.restart()
        begin = time.perf_counter()
        self.hear(heard)
        token = int(self.read(ids, last=True)[-1].argmax())
        last, each = time.perf_counter(), []
        first = last - begin
        for _ in range(new):
            token = int(self.read([token], last=True)[-1].argmax())
            now = time.perf_counter()
            each.append(now - last)
            last = now
        return Timed(first, each)
