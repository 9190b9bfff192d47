"""The number that a run was made for. A run that has no finite one is not done."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from distill import rows

BITS, INSTEAD = "bits_per_byte", ("nats_per_token", "word_error_rate")


@dataclass(frozen=True)
class Goal:
    """The objective metric of a sweep, as a row of ``metrics.jsonl`` is found.

    Attributes:
        metric: ``bits_per_byte``, ``nats_per_token``, … Labels and pictures spell no bytes: where a run has no
            bits per byte at all, its nats per token are meant; where it has neither, as frames under CTC, its word
            error rate.
        subject, split: whose, on which text.
        better: which direction is better.
    """

    metric: str
    subject: str = "student"
    split: str = "test"
    better: Literal["lower", "higher"] = "lower"

    def row(self, folder: Path) -> rows.Row | None:
        """The last such row of a run folder; None when it is missing, NaN or infinite.

        Raises:
            BadInput: a line of the file is not a row.
        """
        path = folder / rows.METRICS
        told = rows.read(path) if path.is_file() else []
        for name in self._names:
            if found := [row for row in told if self._is(row, name)]:
                return found[-1] if math.isfinite(found[-1].value) else None
        return None

    def value(self, folder: Path) -> float | None:
        """The number of that row."""
        found = self.row(folder)
        return None if found is None else found.value

    def accepts(self, metric: str | None) -> bool:
        """Whether a run that was judged by this metric has what is asked."""
        return metric in self._names

    def best(self, values: dict[str, float]) -> str | None:
        """The name with the best value."""
        if not values:
            return None
        return (min if self.better == "lower" else max)(values, key=lambda name: values[name])

    def tell(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def _names(self) -> tuple[str, ...]:
        return (BITS, *INSTEAD) if self.metric == BITS else (self.metric,)

    def _is(self, row: rows.Row, name: str) -> bool:
        """A size or a speed stands on no text, whatever split is asked."""
        return (row.metric, row.subject) == (name, self.subject) and row.split in (self.split, "none")
