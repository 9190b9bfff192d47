"""Groups of plain keys that several verbs have: where things go, how loud they are.

Read as text by the checker of configs, never made.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Paths:
    """Where things go.

    Attributes:
        root: folder of run folders.
        sweeps: folder of sweep folders.
        cache: what runs share: teachers, tokenizers, signals.
        run: the run's own folder; null for a name and a hash below ``root``.
    """

    root: str
    sweeps: str
    cache: str
    run: str | None = None


@dataclass(frozen=True)
class Debug:
    """The ladder of ``debug=…``.

    Attributes:
        level: which rung; the rung's yaml sets the other keys that it stands for.
    """

    level: Literal["none", "fast"] = "none"


@dataclass(frozen=True)
class Wandb:
    """What ``logger=wandb`` takes, at the top so that it is short to write."""

    project: str
    mode: Literal["offline", "online", "disabled"]
    entity: str | None = None
    group: str | None = None
