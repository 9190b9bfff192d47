"""Signals that were drawn at one temperature and say nothing about another.

The K likeliest tokens and their probabilities at T are not those of another T: what lies in the tail is gone. Asked at
another temperature, a stored top 64 gave gradients 6 times too long and pointing elsewhere (cosine 0.66). So they
refuse.
"""

from torch import Tensor

from distill.errors import BadInput


def refuse_other(stored: float, asked: float | Tensor, kind: str) -> None:
    """Refuse a temperature that a signal was not drawn at.

    Raises:
        BadInput: it is another, or one that is learned or scheduled.
    """
    known = asked if isinstance(asked, (int, float)) else _settled(asked)
    if known != stored:
        raise BadInput(
            "teacher.signal.temperature",
            f"the {kind} signal was drawn at temperature {stored:g} and says nothing about another",
            value="one that changes" if known is None else known,
            remedy="draw it at the loss's own temperature, or use signal@teacher.signal=hidden, exact at every one",
        )


def _settled(temperature: Tensor) -> float | None:
    """A tensor's one number; None where it is learned or differs between positions."""
    return None if temperature.requires_grad or temperature.numel() != 1 else temperature.item()
