"""From a number to a place on paper: linear and logarithmic axes with ticks that people count in (1, 2, 5).

Left out on purpose: dates and categories with more than a handful of names.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from distill.reports.measures import MINUS

_SAME = 1e-9
"""Ends that lie closer than this, relatively, are one number: an axis between them could not be told apart."""
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Axis:
    """An axis of one plot.

    Attributes:
        low, high: the numbers at its two ends.
        start, end: where those stand, in units of the drawing.
        title: what it measures, with the unit.
        log: equal ratios are equal lengths.
        ticks: (number, text) to be written.
    """

    low: float
    high: float
    start: float
    end: float
    title: str = ""
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()

    def __call__(self, value: float) -> float:
        low, high, told = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (told - low) / (high - low) * (self.end - self.start)


def fitted(values: Iterable[float], start: float, end: float, title: str = "", log: bool = False,
           padding: float = 0.04, wanted: int = 5) -> Axis:  # fmt: skip
    """The axis that holds all finite ``values`` (positive ones, if logarithmic) with a little air at both ends."""
    told = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    low, high = (min(told), max(told)) if told else (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        low, high = (low, high) if high > low * (1 + _SAME) else (low / 2, high * 2)
        air = (high / low) ** padding
        low, high = low / air, high * air
        return Axis(low, high, start, end, title, True, _log_ticks(low, high, wanted))
    if high - low <= _SAME * abs(high):
        margin = abs(low) * 0.1 or 0.5
        low, high = low - margin, high + margin
    air = (high - low) * padding
    low, high = low - (air if low else 0), high + air
    return Axis(low, high, start, end, title, False, _linear_ticks(low, high, wanted))


def unit(start: float, end: float, title: str) -> Axis:
    """From 0 to 1."""
    ticks = tuple((tick, f"{tick:g}") for tick in (0.0, 0.25, 0.5, 0.75, 1.0))
    return Axis(0.0, 1.0, start, end, title, False, ticks)


def named(values: Iterable[float], start: float, end: float, title: str, texts: Iterable[str], log: bool) -> Axis:
    """An axis whose ticks stand exactly at the given values: those that were tried."""
    told = list(values)
    plain = fitted(told, start, end, title, log, padding=0.06)
    return Axis(plain.low, plain.high, start, end, title, log, tuple(zip(told, texts, strict=True)))


def categories(texts: Sequence[str], start: float, end: float, title: str) -> Axis:
    """Names side by side, at 0, 1, 2, …"""
    return Axis(-0.5, len(texts) - 0.5, start, end, title, False, tuple((float(i), t) for i, t in enumerate(texts)))


def logarithmic(values: Sequence[float]) -> bool:
    """Whether values are better told apart by ratio: they span a factor of eight, or each is the same multiple of
    the one before."""
    told = sorted(set(values))
    if len(told) < 3 or told[0] <= 0:
        return len(told) == 2 and told[0] > 0 and told[1] >= 8 * told[0]
    ratios = [after / before for before, after in pairwise(told)]
    return told[-1] >= 8 * told[0] or max(ratios) < 1.01 * min(ratios)


def short(value: float, step: float | None = None) -> str:
    """A tick's text: k, M and G from ten thousand on, no more digits than the step needs."""
    for size, prefix in _PREFIXES:
        if abs(value) >= size and (abs(value) >= 1e4 or value % size == 0):
            return _minus(f"{value / size:g}{prefix}")
    if value and abs(value) < 1e-3:
        return _minus(f"{value:.0e}".replace("e-0", "e-"))
    decimals = 0 if step is None else max(0, -math.floor(math.log10(step) + 1e-9))
    return _minus(f"{value:.{decimals}f}" if step is not None else f"{value:g}")


def _linear_ticks(low: float, high: float, wanted: int) -> tuple[tuple[float, str], ...]:
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.8)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple((i * step, short(round(i * step, 12), step)) for i in range(first, last + 1))


def _log_ticks(low: float, high: float, wanted: int) -> tuple[tuple[float, str], ...]:
    """Powers of ten, with 2 and 5 between them while there is room; narrow ranges get linear ticks."""
    if high / low < 4:
        return _linear_ticks(low, high, 3)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [m * 10.0**p for p in powers for m in steps if low <= m * 10.0**p <= high]
        if len(found) <= wanted + 1:
            break
    if len(found) < 3:
        return _linear_ticks(low, high, 3)
    found = found[:: max(1, math.ceil(len(found) / (wanted + 1)))]
    return tuple((value, short(value)) for value in found)


def _minus(text: str) -> str:
    return text.replace("-", MINUS, 1) if text.startswith("-") else text
