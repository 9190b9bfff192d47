"""Numbers that follow a schedule: usable wherever an objective takes a number (a weight, a temperature, a skew).

Time is the share of the training that is done, so a schedule keeps its shape when the number of steps changes.
"""

import math
from abc import abstractmethod
from bisect import bisect_right
from typing import ClassVar

import torch
from torch import Tensor

from distill.losses.quantity import Quantity
from distill.ranges import Fraction, Positive, Share
from distill.types import Moment


class Schedule(Quantity):
    """A number that is a function of the training's progress alone; it has no state."""

    def __init__(self) -> None:
        super().__init__()
        self._value = torch.zeros((), dtype=torch.float64)  # 0-d on the CPU: no cast of the module rounds it

    @abstractmethod
    def at(self, progress: float) -> float:
        """The value when this share of the training is done, 0 to 1."""

    def settle(self, moment: Moment) -> None:
        self._value.fill_(self.at(moment.progress))

    def forward(self) -> Tensor:
        return self._value

    @property
    def off(self) -> bool:
        return self._value.item() == 0.0


class Constant(Schedule):
    """The same number throughout.

    Formula: value

    Args:
        value: the number.
    """

    varies: ClassVar[bool] = False

    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.value = value

    def at(self, progress: float) -> float:
        return self.value

    def formula(self) -> str:
        return f"{self.value:g}"


class Linear(Schedule):
    """A straight line from one number to another, then the second.

    Formula: start + (end − start) · min(progress / over, 1)

    Args:
        start: the first value.
        end: the last.
        over: the share of the training that it takes.
    """

    def __init__(self, start: float = 0.0, end: float = 1.0, over: Share = 1.0) -> None:
        super().__init__()
        self.start, self.end, self.over = start, end, over

    def at(self, progress: float) -> float:
        return self.start + (self.end - self.start) * min(progress / self.over, 1.0)

    def formula(self) -> str:
        return f"({self.start:g} → {self.end:g}, linear over {self.over:.0%})"


class Cosine(Schedule):
    """Half a cosine wave from one number to another, then the second.

    Formula: end + (start − end) · (1 + cos(π min(progress / over, 1))) / 2

    Args:
        start: the first value.
        end: the last.
        over: the share of the training that it takes.
    """

    def __init__(self, start: float = 1.0, end: float = 0.0, over: Share = 1.0) -> None:
        super().__init__()
        self.start, self.end, self.over = start, end, over

    def at(self, progress: float) -> float:
        share = min(progress / self.over, 1.0)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * share)) / 2

    def formula(self) -> str:
        return f"({self.start:g} → {self.end:g}, cosine over {self.over:.0%})"


class Exponential(Schedule):
    """By the same factor in equal times, from one number to another of the same sign, then the second.

    Formula: start · (end / start)^min(progress / over, 1)

    Args:
        start: the first value, positive.
        end: the last, positive.
        over: the share of the training that it takes.
    """

    def __init__(self, start: Positive = 1.0, end: Positive = 0.01, over: Share = 1.0) -> None:
        super().__init__()
        self.start, self.end, self.over = start, end, over

    def at(self, progress: float) -> float:
        return self.start * (self.end / self.start) ** min(progress / self.over, 1.0)

    def formula(self) -> str:
        return f"({self.start:g} → {self.end:g}, exponential over {self.over:.0%})"


class Step(Schedule):
    """Constant between given moments.

    Formula: values[i] from moments[i − 1] to moments[i]

    Args:
        values: one more than there are moments.
        moments: shares of the training, increasing.
    """

    def __init__(self, values: list[float], moments: list[Fraction]) -> None:
        super().__init__()
        _one_more("values", values, moments)
        self.values, self.moments = values, moments

    def at(self, progress: float) -> float:
        return self.values[bisect_right(self.moments, progress)]

    def formula(self) -> str:
        parts = [f"{v:g} from {m:.0%}" for v, m in zip(self.values[1:], self.moments, strict=True)]
        return f"({', '.join([f'{self.values[0]:g}', *parts])})"


class Phases(Schedule):
    """One schedule after another; each sees its own phase as the whole training.

    Formula: parts[i]((progress − moments[i − 1]) / (moments[i] − moments[i − 1]))

    Args:
        parts: schedules, one more than there are moments.
        moments: shares of the training at which the next begins, increasing.
    """

    def __init__(self, parts: list[Schedule], moments: list[Fraction]) -> None:
        super().__init__()
        _one_more("parts", parts, moments)
        self.parts, self.moments = torch.nn.ModuleList(parts), moments

    def at(self, progress: float) -> float:
        phase = bisect_right(self.moments, progress)
        ends = [0.0, *self.moments, 1.0]
        length = ends[phase + 1] - ends[phase]
        inside = (progress - ends[phase]) / length if length > 0 else 1.0
        part = self.parts[phase]
        assert isinstance(part, Schedule)
        return part.at(inside)

    def formula(self) -> str:
        told = [f"{part.formula()}" for part in self.parts if isinstance(part, Schedule)]
        return f"({told[0]}" + "".join(f", from {m:.0%} {t}" for m, t in zip(self.moments, told[1:], strict=True)) + ")"


def _one_more(name: str, values: list, moments: list[Fraction]) -> None:
    if len(values) != len(moments) + 1 or sorted(moments) != list(moments):
        raise ValueError(f"{name}: one more than moments, and moments increasing; got {len(values)} and {moments}")
