"""How many processes a run needs on its machine, as its config says it."""

import os

from distill.cli.compose import Composed
from distill.errors import BadInput

IN_PROCESS = ("spawn", "fork", "notebook")
"""Lightning strategies that make their ranks from a running process; torchrun has made them already."""


def is_rank() -> bool:
    """Whether torchrun (or a scheduler that speaks as it does) has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_leader() -> bool:
    """Whether this process keeps the run's books: the only one, or rank 0."""
    return int(os.environ.get("RANK", "0")) == 0


def device_count(composed: Composed) -> int:
    """``trainer.devices`` as a number.

    Raises:
        BadInput: it is not known before the machine is asked, spans several machines, or wants its own launcher.
    """
    trainer = composed.config.get("trainer", {})
    devices, nodes = trainer.get("devices", 1), trainer.get("num_nodes", 1)
    strategy = trainer.get("strategy", "auto")
    if nodes != 1:
        raise BadInput(_place(composed, "num_nodes"), "a run started here stays on one machine", value=nodes)
    count = len(devices) if isinstance(devices, list) else devices
    if isinstance(count, str) and count.isdigit():
        count = int(count)
    if not isinstance(count, int) or count < 1:
        reason = "one process is started a device, so the launcher must know how many"
        raise BadInput(_place(composed, "devices"), reason, value=devices, remedy="write trainer.devices=N")
    if count > 1 and isinstance(strategy, str) and any(word in strategy for word in IN_PROCESS):
        reason = "torchrun starts the ranks of a run"
        raise BadInput(_place(composed, "strategy"), reason, value=strategy, remedy="write trainer.strategy=ddp")
    return count


def _place(composed: Composed, key: str) -> str:
    return f"{composed.origin(f'trainer.{key}')} trainer.{key}"
