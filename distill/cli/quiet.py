"""Keeps libraries from talking over a run's own progress: adverts, their bars, and warnings about their own insides."""

import logging
import os
import warnings


def quieten() -> None:
    """Call once, before a verb builds anything."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import pytorch_lightning  # noqa: F401 - it sets its own level when it is imported

    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings(
        "ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated", category=FutureWarning
    )
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
