"""A temperature of its own for each domain of the text.

What a teacher is sure of in one domain (code, tables) it guesses in another (prose), and one temperature cannot be
right for both. The temperature is the objective's, not the data's: a control that has no teacher is the same control at
every temperature. Left out on purpose: temperatures by domain that are scheduled or learned, and one for a single loss
(a loss whose own ``temperature`` is a number keeps it in every domain).
"""

import torch
from torch import Tensor, nn

from distill.errors import BadInput
from distill.losses.quantity import shown
from distill.ranges import Positive
from distill.types import Batch


class ByDomain(nn.Module):
    """One temperature for every domain of the text, of every loss that has none of its own.

    Formula: term_n = T_d² D(p_T, q_T) at T_d, d the domain of token n

    With T² every domain's gradient keeps its scale, so that a temperature changes what is taught of a domain and not
    how much the domain weighs: that is ``data.domain_weights``.

    Args:
        domains: by name, as in the data's facts.
        other: of every domain that is not named.
    """

    def __init__(self, domains: dict[str, Positive] | None = None, other: Positive = 1.0) -> None:
        super().__init__()
        self.domains, self.other = dict(domains or {}), other

    def of(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        """(N,) the temperature of every supervised token.

        Raises:
            BadInput: the batch does not say where its samples are from.
        """
        if not batch.domains:
            reason = "is by domain, and this data has none"
            raise BadInput("objective.temperature", reason, remedy="write a number")
        each = [self.domains.get(name, self.other) for name in batch.domains]
        return torch.tensor(each, dtype=dtype, device=batch.owners.device)[batch.owners]

    def check(self, known: frozenset[str]) -> None:
        """Refuse names that the data does not have.

        Raises:
            BadInput: with what there is.
        """
        for name in self.domains:
            if name not in known:
                there = ", ".join(sorted(known)) or "none, or one alone"
                raise BadInput("objective.temperature.domains", f"no such domain; there are {there}", value=name)

    def __str__(self) -> str:
        named = [f"{shown(float(value))} in {name}" for name, value in self.domains.items()]
        return f"({', '.join([*named, f'{shown(float(self.other))} elsewhere'])})"
