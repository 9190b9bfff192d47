"""What a search may choose from: the values on the command line, in Hydra's grammar, as distributions.

a,b,c                         one of them
range(32,129,32)              32, 64, 96, 128: ordered, so that a sampler may learn from neighbours
interval(0.1,0.9)             any number between; int(interval(1,8)): any whole one
tag(log,interval(1e-4,1e-1))  any ratio alike
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from distill.errors import BadInput, BadInputs
from distill.sweeps.expansion import PLACE, Groups

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

LOG = "log"


@dataclass(frozen=True)
class Axis:
    """The values of one key: ``values``, or all numbers from ``low`` to ``high``, in steps if there is one."""

    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    whole: bool = False

    @property
    def first(self) -> str:
        """A value of it."""
        return self.values[0] if self.values else self.written(int(self.low) if self.whole else self.low)

    def written(self, value: Any) -> str:
        """A proposed value as a command line has it."""
        return str(value) if isinstance(value, str | int) else repr(float(f"{value:.6g}"))

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.values:
            return CategoricalDistribution(self.values)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), self.log, int(self.step or 1))
        return FloatDistribution(self.low, self.high, self.log, self.step)

    def __str__(self) -> str:
        if self.values:
            return ", ".join(self.values)
        step = f" by {self.step:g}" if self.step else ""
        return f"{self.low:g} to {self.high:g}{step}{', by ratio' if self.log else ''}"


def parsed(texts: Iterable[str], options: Callable[[str], list[str]]) -> tuple[list[str], dict[str, Axis]]:
    """The overrides that stand, and the axes by the key as it is written.

    Raises:
        BadInputs: what is no override, or an axis that cannot be searched.
    """
    parser = OverridesParser.create(cast(ConfigLoader, Groups(options)))
    fixed: list[str] = []
    axes: dict[str, Axis] = {}
    faults: list[BadInput] = []
    for text in texts:
        try:
            override = parser.parse_overrides([text])[0]
            if override.is_sweep_override():
                axes[override.get_key_element()] = _axis(override)
            else:
                fixed.append(text)
        except BadInput as fault:
            faults.append(fault)
        except (HydraException, ValueError, TypeError, RecursionError) as problem:
            reason = (str(problem).splitlines() or [""])[0]
            faults.append(BadInput(PLACE, f"not an override ({reason}), expected key=value", value=text))
    if faults:
        raise BadInputs(faults)
    return fixed, axes


def _axis(override: Override) -> Axis:
    told, place = override.value(), f"{PLACE} {override.key_or_group}"
    if isinstance(told, IntervalSweep):
        low, high = float(told.start or 0.0), float(told.end or 0.0)
        axis = Axis(low=low, high=high, log=LOG in told.tags, whole=isinstance(told.start, int) and _cast(override))
        if not low < high or (axis.log and low <= 0):
            reason = "a logarithmic interval lies above 0" if low < high else "its end lies above its beginning"
            raise BadInput(place, reason, value=override.input_line)
        return axis
    if isinstance(told, RangeSweep) and not told.shuffle:
        numbers = list(told.range())
        if len(numbers) > 1:
            whole = all(float(number).is_integer() for number in numbers)
            step = float(numbers[1]) - float(numbers[0])
            return Axis(low=float(min(numbers)), high=float(max(numbers)), step=abs(step), whole=whole)
    values = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not values:
        raise BadInput(place, "no values", value=override.input_line)
    return Axis(values)


def _cast(override: Override) -> bool:
    """Whether ``int(…)`` stands around an interval: Hydra has then made its ends whole."""
    return "int(" in str(override.input_line)
