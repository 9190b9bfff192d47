"""Every random draw of a micro-step is a function of (seed, micro-step, rank): nothing to save, nothing to drift.

A run stopped anywhere and resumed draws what the straight run would have drawn, and a control that takes the same
steps as its student sees the same dropout.
"""

import hashlib
import random

import numpy as np
import torch


def reseed(seed: int, micro_step: int, rank: int = 0) -> None:
    """Set torch's, NumPy's and Python's global generators for this micro-step."""
    drawn = hashlib.sha256(f"{seed}/{micro_step}/{rank}".encode()).digest()
    torch.manual_seed(int.from_bytes(drawn[:8], "big") >> 1)
    np.random.seed(int.from_bytes(drawn[8:12], "big"))  # noqa: NPY002 - parts of users may draw from the global one
    random.seed(drawn)
