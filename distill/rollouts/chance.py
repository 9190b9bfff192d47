"""Random numbers of a rollout: a function of the seed that the micro-step gave to torch, apart from its own stream.

So nothing of them is state, a resumed run draws what the straight one would have drawn, and a student's dropout is the
same whoever writes.
"""

import hashlib

import torch


def chance(purpose: str) -> torch.Generator:
    """A generator for one purpose in this micro-step."""
    told = hashlib.sha256(f"{torch.initial_seed()}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(told[:8], "big") >> 1)
