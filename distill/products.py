"""Matrix products whose sums are float32 even where the operands are half precision.

A bf16 product that is rounded and then widened has already lost what a log-softmax needs (Liger #1438), so
half operands are summed in float32: bf16 on CUDA by the matrix unit itself, everything else from widened
copies. fp16 is always widened: a logit's gradient may be smaller than its smallest number. Single and double
precision pass through unchanged.
"""

import torch
from torch import Tensor

HALF = (torch.bfloat16, torch.float16)


def widened(dtype: torch.dtype) -> torch.dtype:
    """float32 for half precision, else the dtype itself."""
    return torch.float32 if dtype in HALF else dtype


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """In which dtype these tensors are multiplied with each other."""
    if all(tensor.is_cuda and tensor.dtype is torch.bfloat16 for tensor in tensors):
        return torch.bfloat16
    widest = torch.float32
    for tensor in tensors:
        widest = torch.promote_types(widest, widened(tensor.dtype))
    return widest


def product(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """``left @ right``, (A, B) x (B, C) -> (A, C) float32 or wider, into ``out`` if given.

    ``left`` is brought to the dtype of ``right``, which is a working dtype.
    """
    left = left.to(right.dtype)
    if right.dtype in HALF:
        result = torch.mm(left, right, out_dtype=torch.float32)
        return result if out is None else out.copy_(result)
    return torch.mm(left, right) if out is None else torch.mm(left, right, out=out)


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """``total += left @ right`` in place; ``total`` is float32 or wider."""
    if right.dtype in HALF:
        total += product(left, right)
    else:
        total.addmm_(left.to(right.dtype), right)
