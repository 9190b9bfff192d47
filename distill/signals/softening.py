"""Log-probabilities of a whole vocabulary at a temperature, with the care that excluded tokens need."""

import torch
from torch import Tensor


def log_probabilities(logits: Tensor, temperature: float | Tensor) -> Tensor:
    """log softmax(z / T): (C, V) -> (C, V), float32 or wider.

    Args:
        logits: z; a token of −inf is excluded and stays so, at any temperature.
        temperature: a number, or a tensor that broadcasts against (C, V). A tensor may carry a gradient: an
            excluded token then adds nothing to it, where −inf · 0 would make it NaN.
    """
    wide = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    if isinstance(temperature, Tensor):
        excluded = wide == -torch.inf
        softened = (wide.masked_fill(excluded, 0.0) / temperature).masked_fill(excluded, -torch.inf)
        return torch.log_softmax(softened, dim=-1)
    return torch.log_softmax(wide if temperature == 1.0 else wide * (1.0 / temperature), dim=-1)


def pair(teacher: Tensor, student: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
    """(log p, log q) of two logits over one vocabulary: (C, V), (C, V) -> two (C, V)."""
    assert teacher.shape == student.shape, (
        f"teacher {tuple(teacher.shape)} and student {tuple(student.shape)} do not share a vocabulary"
    )
    return log_probabilities(teacher, temperature), log_probabilities(student, temperature)
