"""Which run a config is: eight hex digits of everything in it that changes what is computed.

Two configs that compute the same thing have one identity, so that a run is found again, resumed and never done
twice; two that differ have two, so that nobody reads another run's numbers.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from distill.cli.compose import Composed
from distill.cli.definitions import attribute, find

SHOWN_ONLY = frozenset(
    {
        "name",
        "paths",
        "logger",
        "wandb",
        "launcher",
        "sweeper",
        "debug",
        "threads",
        "data.workers",
        "trainer.enable_progress_bar",
        "trainer.enable_model_summary",
        "trainer.log_every_n_steps",
        "trainer.logger",
    }
)
"""Keys that change where a run lies, how fast it goes or what is shown of it, and no number in it."""
PLACES = frozenset({"cache"})
"""The same for the last part of a key, wherever it stands (``teacher.cache``)."""


def identity(composed: Composed) -> str:
    """The digest of a whole config, eight digits."""
    return digest(composed.config, 8)


def digest(config: Mapping[str, Any], digits: int) -> str:
    """sha256 of the canonical JSON of what matters in a config or in some of its keys, first ``digits``.

    Left out: ``SHOWN_ONLY``, and parts whose class says ``only_shows = True``. Numbers are compared as numbers: the
    binding has already written ``1`` as ``1.0`` where a ``float`` is annotated, and JSON knows no ``1e-3``.
    """
    matters = _rows_of_a_step(_matters(dict(config), ""))
    text = json.dumps(matters, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _rows_of_a_step(config: dict[str, Any]) -> dict[str, Any]:
    """How a step's rows are cut into micro-batches changes its memory, not what it learns."""
    data, trainer = config.get("data"), config.get("trainer")
    if not isinstance(data, dict) or not isinstance(trainer, dict):
        return config
    size, pieces = data.get("batch_size"), trainer.get("accumulate_grad_batches", 1)
    if not isinstance(size, int) or not isinstance(pieces, int):
        return config
    return {
        **config,
        "data": {**data, "batch_size": size * pieces},
        "trainer": {key: value for key, value in trainer.items() if key != "accumulate_grad_batches"},
    }


def _matters(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        inner = {name: f"{key}.{name}" if key else name for name in value}
        return {
            name: _matters(one, inner[name])
            for name, one in value.items()
            if inner[name] not in SHOWN_ONLY and name not in PLACES and not _only_shows(one)
        }
    if isinstance(value, list):
        return [_matters(one, f"{key}.{index}") for index, one in enumerate(value) if not _only_shows(one)]
    return value


def _only_shows(node: object) -> bool:
    target = node.get("_target_") if isinstance(node, dict) else None
    definition = find(target) if isinstance(target, str) else None
    return definition is not None and attribute(definition, "only_shows") is True
