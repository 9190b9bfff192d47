"""At how many of the student's tokens the teacher was heard: what an alignment drops is counted."""

from collections.abc import Mapping

from torch import Tensor


class HeardTally:
    """Sums on the device, read only when they are logged."""

    def __init__(self) -> None:
        self._heard: list[Tensor] = []
        self._tokens = 0

    def add(self, heard: Tensor) -> None:
        """(N,) bool, of a batch."""
        self._heard.append(heard.sum())
        self._tokens += heard.numel()

    def told(self) -> Mapping[str, float]:
        """The share since it was last asked."""
        if not self._tokens:
            return {}
        share = sum(one.item() for one in self._heard) / self._tokens
        self._heard, self._tokens = [], 0
        return {"alignment/heard": share}
