"""How long a model took, whoever ran it. Imports nothing heavy, for a process that runs an exported file alone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timed:
    """Seconds of one round: to the first written token, and for each token after it."""

    first: float
    each: list[float]

    @property
    def kinds(self) -> tuple[float, float]:
        """What prefill and decode took."""
        return self.first, sum(self.each)
