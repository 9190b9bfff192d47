"""Which divergences are sums of a few that a compiled kernel knows, said beside each by a decorator.

A divergence that says nothing runs as it is written; one that does runs the same numbers faster where the kernel can be
built. The function itself stays the definition, and the tests hold the two together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class ClosedForm:
    """a KL(p ‖ q) + b KL(q ‖ p) + c JSD_β(p, q)

    Attributes:
        forward: a.
        reverse: b.
        mixture: c.
        teacher_weight: β.
    """

    forward: float = 0.0
    reverse: float = 0.0
    mixture: float = 0.0
    teacher_weight: float = 0.5


def closed_form(form: Callable[..., ClosedForm | None]) -> Callable[[Function], Function]:
    """Say of a divergence that it is ``form(**its numbers)``; None where the numbers allow no such sum."""

    def said(function: Function) -> Function:
        function.__dict__["closed_form"] = form
        return function

    return said


def closed_form_of(function: Callable[..., Any], numbers: dict[str, float]) -> ClosedForm | None:
    """What a divergence said of itself, with these numbers."""
    form = getattr(function, "closed_form", None)
    return None if form is None else form(**numbers)
