"""The number that a run was made for. A run that has no finite one is not done."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from distill import rows


@dataclass(frozen=True)
class Goal:
    """The objective metric of a sweep, as a row of ``metrics.jsonl`` is found.

    Attributes:
        metric: ``bits_per_byte``, ``nats_per_token``, …
        subject, split: whose, on which text.
        better: which direction is better.
    """

    metric: str
    subject: str = "student"
    split: str = "test"
    better: Literal["lower", "higher"] = "lower"

    def value(self, folder: Path) -> float | None:
        """The last such row of a run folder; None when it is missing, NaN or infinite.

        Raises:
            BadInput: a line of the file is not a row.
        """
        path = folder / rows.METRICS
        if not path.is_file():
            return None
        told = [row.value for row in rows.read(path) if self._is(row)]
        return told[-1] if told and math.isfinite(told[-1]) else None

    def best(self, values: dict[str, float]) -> str | None:
        """The name with the best value."""
        if not values:
            return None
        return (min if self.better == "lower" else max)(values, key=lambda name: values[name])

    def tell(self) -> dict[str, Any]:
        return asdict(self)

    def _is(self, row: rows.Row) -> bool:
        """A size or a speed stands on no text, whatever split is asked."""
        return (row.metric, row.subject) == (self.metric, self.subject) and row.split in (self.split, "none")
