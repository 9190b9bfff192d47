"""A model or an exported file as it runs: ids in, logits out, with a cache. What the re-check and the chat talk to.

Imports neither torch nor transformers, so that a process that runs an ONNX file alone needs neither. Batches are left
out on purpose: a file is checked and used one text at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np


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
