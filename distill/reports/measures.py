"""The measures a report knows by name: what they are called, which way is better, how many digits make sense.

A measure that is not listed here is still shown, under its own name and unit, among "other measures": adding one to
``distill/evaluation`` needs no change here.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

UNDEFINED = "undefined"
ABSENT = "—"
MINUS = "−"

Style = Literal["decimal", "percent", "magnitude", "bytes", "plain"]


@dataclass(frozen=True)
class Format:
    """How one column writes its numbers: ``value / divisor`` with ``decimals`` digits, in ``unit``."""

    divisor: float
    decimals: int
    unit: str

    def text(self, value: float) -> str:
        if not math.isfinite(value):
            return UNDEFINED
        scaled = value / self.divisor
        if self.decimals == 0 and scaled == round(scaled) and abs(scaled) < 1e12:
            return _minus(f"{scaled:.0f}")  # a seed is read digit by digit
        if scaled != 0 and (abs(scaled) >= 1e6 or abs(scaled) < 10.0 ** -(self.decimals + 2)):
            return _minus(f"{scaled:.2e}")
        return _minus(f"{scaled:.{self.decimals}f}")

    def signed(self, value: float) -> str:
        """With its sign, a typographic minus."""
        text = self.text(value)
        return f"+{text}" if math.isfinite(value) and value > 0 else text

    def half(self, value: float) -> str:
        """± half an interval."""
        return f"±{self.text(value)}"


@dataclass(frozen=True)
class Measure:
    """A measure by name.

    Attributes:
        metric: its name in the rows.
        title: its name in a heading.
        unit: of the rows, as shown.
        better: which way is better; empty where neither is.
        style: how numbers are written.
        noise: relative difference up to which two values count as equal: what a machine's clock cannot tell apart.
    """

    metric: str
    title: str
    unit: str = ""
    better: Literal["lower", "higher", ""] = ""
    style: Style = "decimal"
    noise: float = 0.0

    @property
    def arrow(self) -> str:
        return {"lower": "↓", "higher": "↑", "": ""}[self.better]

    @property
    def name(self) -> str:
        """Title and unit, for an axis."""
        unit = "%" if self.style == "percent" else self.unit
        return f"{self.title} ({unit})" if unit and unit not in self.title else self.title

    def format(self, values: Iterable[float]) -> Format:
        """One format for a whole column, so that its digits stand below each other."""
        sizes = [abs(value) for value in values if math.isfinite(value) and value]
        if self.style == "percent":
            return Format(0.01, 1, "%")
        if self.style == "decimal":
            return Format(1.0, 3, self.unit)
        if self.style == "plain" or not sizes:
            return Format(1.0, _decimals(sizes or [1.0]), self.unit)
        divisor, prefix = _prefix(max(sizes), min(sizes))
        unit = f"{prefix}B" if self.style == "bytes" else f"{prefix} {self.unit}".strip()
        return Format(divisor, _decimals([size / divisor for size in sizes]), unit)


BITS = Measure("bits_per_byte", "bits per byte", "", "lower")
NATS = Measure("nats_per_token", "nats per token", "", "lower")
KL = Measure("kl_to_teacher", "KL to teacher", "nats/token", "lower")
AGREEMENT = Measure("top1_agreement", "top-1 agreement", "", "higher", "percent")
ECE = Measure("ece", "ECE", "", "lower")
PARAMETERS = Measure("parameters", "parameters", "", "lower", "magnitude")
DISK = Measure("disk_bytes", "on disk", "B", "lower", "bytes")
PREFILL = Measure("prefill_tokens_per_second", "prefill", "tokens/s", "higher", "magnitude", 0.05)
DECODE = Measure("decode_tokens_per_second", "decode", "tokens/s", "higher", "magnitude", 0.05)
MEMORY = Measure("peak_memory", "peak memory", "MiB", "lower", "plain", 0.02)
RATE = Measure("learning_rate", "learning rate", "", "", "plain")
PERPLEXITY = Measure("perplexity", "perplexity", "", "lower", "plain")

ACCURACY = Measure("accuracy", "accuracy", "", "higher", "percent")
MACRO_F1 = Measure("macro_f1", "macro F1", "", "higher", "percent")
BLEU = Measure("bleu", "BLEU", "", "higher")
CHRF = Measure("chrf", "chrF", "", "higher")
MRR = Measure("mrr", "reciprocal rank", "", "higher")
SAMPLES = Measure("samples_per_second", "samples", "samples/s", "higher", "magnitude", 0.05)
SENTENCES = Measure("sentences_per_second", "sentences", "sentences/s", "higher", "magnitude", 0.05)

OF_TASKS = (ACCURACY, MACRO_F1, BLEU, CHRF, MRR)
"""What a task is judged by; each is measured of its own kind of data."""
SPEEDS = (PREFILL, DECODE, SAMPLES, SENTENCES)
WRITTEN = Measure("written_tokens", "written for it", "tokens", "", "magnitude")
"""What a rollout cost: tokens that models wrote for the training."""

TABLE = (*OF_TASKS, BITS, NATS, PERPLEXITY, AGREEMENT, KL, ECE, PARAMETERS, DISK, *SPEEDS, MEMORY, WRITTEN)
"""The columns of the result table, in order."""
QUALITY = (*OF_TASKS, BITS, NATS, AGREEMENT, KL, ECE)
"""What a difference between two subjects of one size can be made of."""
_OTHERS = (
    Measure("accuracy_top1", "top-1 accuracy", "", "higher", "percent"),
    Measure("embedding_parameters", "embedding parameters", "", "", "magnitude"),
    RATE,
    Measure("gradient_norm", "gradient norm", "", "", "plain"),
    Measure("gradient_norm_variation", "variation of the gradient's norm", "", "", "plain"),
    Measure("tokens_per_second", "tokens per second", "tokens/s", "higher", "magnitude"),
)
_KNOWN = {measure.metric: measure for measure in (*TABLE, *_OTHERS)}


def measure(metric: str, unit: str = "") -> Measure:
    """The measure of that name; one that nobody knows is named by itself and neither way is better."""
    if metric in _KNOWN:
        return _KNOWN[metric]
    if metric.startswith("loss/"):
        title = "total loss" if metric == "loss/total" else metric
        return Measure(metric, title, "" if unit == "1/token" else unit, "lower")
    if metric.endswith("_seed"):
        return Measure(metric, metric, style="plain")
    style: Style = "percent" if unit == "fraction" else "magnitude" if unit in ("count", "bytes") else "plain"
    return Measure(metric, metric, "" if unit in ("count", "fraction", "1") else unit, "", style)


def significant(value: float, digits: int = 3) -> str:
    """A number on its own, to that many digits, without an exponent where it can be read without."""
    if not math.isfinite(value):
        return UNDEFINED
    if value == int(value) and abs(value) < 1e15:
        return _minus(f"{int(value):,}" if abs(value) >= 1e4 else str(int(value)))
    return _minus(f"{value:.{digits}g}")


def _prefix(largest: float, smallest: float) -> tuple[float, str]:
    """k, M or G if even the smallest number reaches it, or if the largest would otherwise take five digits."""
    for divisor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if smallest >= divisor or largest >= 1e4 * divisor / 1e3:
            return divisor, prefix
    return 1.0, ""


def _decimals(sizes: list[float]) -> int:
    """Three digits for the smallest, at most five for the largest."""
    for_smallest = 2 - math.floor(math.log10(min(sizes)))
    for_largest = 4 - math.floor(math.log10(max(sizes)))
    return max(0, min(for_smallest, for_largest, 3))


def _minus(text: str) -> str:
    return text.replace("-", MINUS) if text.startswith("-") else text
