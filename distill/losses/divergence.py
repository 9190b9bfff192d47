"""Any divergence between what teacher and student say, as a loss.

The divergence is a pure function in ``distill/divergences``; this part only calls it on the softened sides. So a new
divergence is one function and one yaml.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from distill.divergences.closed_form import closed_form_of
from distill.losses import citation
from distill.losses.closed import Closed
from distill.losses.gate import Gate
from distill.losses.quantity import Quantity, number, shown, varying
from distill.losses.softened import Softened
from distill.losses.softening import Softening
from distill.ranges import Positive


class Divergence(Softened):
    """A divergence from the teacher's to the student's next-token distribution, both softened.

    T² D(p_T, q_T), with p_T = softmax(z_teacher / T) and q_T = softmax(z_student / T). What D is, and whose, the
    divergence says: formula, sources and unit are its own.

    Args:
        divergence: (log p, log q) -> nats; in yaml a ``_partial_`` of a function of ``distill.divergences``.
        weight: in the objective's total.
        temperature: T of both sides; None takes the objective's.
        temperature_squared: multiply by T², so that the gradient's scale does not depend on T.
        softening: how the sides are softened at T; None divides both logits by T.
        gate: which tokens it speaks about; None for all.
        scheduled: numbers of the divergence that are not constants, by the name of its argument.
    """

    def __init__(
        self,
        divergence: Callable[..., Tensor],
        weight: float | Quantity = 1.0,
        temperature: Positive | Quantity | None = None,
        temperature_squared: bool = True,
        softening: Softening | None = None,
        gate: Gate | None = None,
        scheduled: dict[str, Quantity] | None = None,
    ) -> None:
        super().__init__(weight, temperature, temperature_squared, softening, gate)
        self._function, self._constants = opened(divergence)
        self.unit = unit_of(self._function)
        self.scheduled = nn.ModuleDict(scheduled)

    def between(self, log_p: Tensor, log_q: Tensor, targets: Tensor) -> Tensor:
        numbers = {**self._constants, **{name: quantity() for name, quantity in self.scheduled.items()}}
        return self._function(log_p, log_q, **numbers)

    def closed(self, shared: float | None) -> Closed | None:
        if self.gate is not None or self.softening is not None:
            return None
        scheduled = {name: float(quantity()) for name, quantity in self.scheduled.items()}
        form = closed_form_of(self._function, {**self._constants, **scheduled})
        temperature = shared if self.temperature is None else float(number(self.temperature))
        if temperature is None:
            return None
        scale = temperature**2 if self.temperature_squared else 1.0
        return None if form is None else Closed(form, temperature, scale)

    def in_force(self) -> dict[str, float]:
        return super().in_force() | varying(dict(self.scheduled.items()))

    def inner_formula(self) -> str:
        told = [f"{name} = {shown(value)}" for name, value in {**self._constants, **self.scheduled}.items()]
        return "; ".join([citation.line(self._function, "Formula"), *told])

    def inner_sources(self) -> list[str]:
        return citation.lines(self._function, "Source")


def opened(function: Callable[..., Tensor]) -> tuple[Callable[..., Tensor], dict]:
    """A function and the keywords bound to it; Hydra's partials may be nested, and are of a class of their own."""
    keywords: dict = {}
    while isinstance(function, partial):
        keywords = {**function.keywords, **keywords}
        function = function.func
    return function, keywords


def unit_of(function: Callable[..., Tensor]) -> str:
    """What a divergence counts in: the ``Unit:`` of its docstring, else nats."""
    return citation.line(function, "Unit") or Divergence.unit
