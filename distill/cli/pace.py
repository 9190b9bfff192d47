"""How long so many FLOPs take on this machine: by calculation, from the pace of one product measured for a tenth of a
second.

Left out on purpose: attention, losses, the optimiser, measures and the disk, which come on top; so it is a lower bound
to plan with, and what is said of it says so.
"""

import time

ROWS = 256
"""Of the product: a chunk of tokens."""
LONG_ENOUGH = 0.1
"""Seconds of measuring."""


def pace(width: int) -> float:
    """FLOP/s of the product that a model of this width makes most: (256, D) by (D, 4 D), float32, by the wall clock."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    states, weights = torch.ones(ROWS, width, device=device), torch.ones(width, 4 * width, device=device)
    out = states @ weights
    begun, count = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < LONG_ENOUGH:
        torch.mm(states, weights, out=out)
        if device.type == "cuda":
            torch.cuda.synchronize()
        count += 1
    return 2.0 * ROWS * width * 4 * width * count / spent


def foretold(flops: float, width: int) -> str:
    """``about 90 s by calculation (…)``: what so many FLOPs take, and what that stands on."""
    from distill.reports.choosing import written

    rate = pace(width)
    told = f"{flops:.2g} FLOPs of weights at {rate / 1e9:,.0f} GFLOP/s, a product's pace here"
    return f"about {written('seconds', flops / rate)} by calculation ({told})"
