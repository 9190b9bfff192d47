"""Any divergence between what teacher and student say, as a loss.

The divergence is a pure function in ``distill/divergences``; this part only softens both sides, calls it and
keeps the gradient's scale. So a new divergence is one function and one yaml.
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from torch import Tensor, nn

from distill.losses import citation
from distill.losses.chunk import Chunk
from distill.losses.loss import VocabularyLoss
from distill.losses.quantity import Quantity, number, shown
from distill.ranges import Positive


class Divergence(VocabularyLoss):
    """A divergence from the teacher's to the student's next-token distribution, both softened.

    Formula: T² D(p_T, q_T), p_T = softmax(z_teacher / T), q_T = softmax(z_student / T)
    Source: Hinton, Vinyals, Dean (2015). Distilling the Knowledge in a Neural Network. arXiv:1503.02531

    Args:
        divergence: (log p, log q) -> nats; in yaml a ``_partial_`` of a function of ``distill.divergences``.
        weight: in the objective's total.
        temperature: T of both sides; None takes the objective's.
        temperature_squared: multiply by T², so that the gradient's scale does not depend on T.
        scheduled: numbers of the divergence that are not constants, by the name of its argument.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __init__(
        self,
        divergence: Callable[..., Tensor],
        weight: float | Quantity = 1.0,
        temperature: Positive | Quantity | None = None,
        temperature_squared: bool = True,
        scheduled: dict[str, Quantity] | None = None,
    ) -> None:
        super().__init__(weight)
        self._function, self._constants = _opened(divergence)
        self.scheduled = nn.ModuleDict(scheduled)
        self.temperature = temperature
        self.temperature_squared = temperature_squared

    def forward(self, chunk: Chunk) -> Tensor:
        temperature = chunk.temperature if self.temperature is None else number(self.temperature)
        log_p, log_q = chunk.pair(temperature)
        numbers = {**self._constants, **{name: quantity() for name, quantity in self.scheduled.items()}}
        value = self._function(log_p, log_q, **numbers)  # (C,)
        return value * temperature**2 if self.temperature_squared else value

    def formula(self) -> str:
        told = [f"{name} = {shown(value)}" for name, value in {**self._constants, **self.scheduled}.items()]
        told += [] if self.temperature is None else [f"T = {shown(self.temperature)}"]
        scale = "T² · " if self.temperature_squared else ""
        numbers = f"  ({', '.join(told)})" if told else ""
        return f"{scale}[{citation.line(self._function, 'Formula')}]{numbers}"

    def sources(self) -> list[str]:
        return citation.lines(self._function, "Source")


def _opened(function: Callable[..., Tensor]) -> tuple[Callable[..., Tensor], dict]:
    """A function and the keywords bound to it; Hydra's partials may be nested, and are of a class of their own."""
    keywords: dict = {}
    while isinstance(function, partial):
        keywords = {**function.keywords, **keywords}
        function = function.func
    return function, keywords
