"""How much energy reading and writing takes, where the processor counts it."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from distill.evaluation.attention import computed
from distill.evaluation.decoding import Writer
from distill.evaluation.footprint import prompt
from distill.evaluation.measure import Measured, ModelMeasure
from distill.evaluation.subject import Subject
from distill.ranges import Count, Positive

COUNTERS = Path("/sys/class/powercap")
"""Intel's and AMD's running average power limit (RAPL), as Linux shows it; usually readable by root alone."""


class Energy(ModelMeasure):
    """Joules that a thousand written tokens take, by the processor's own counter (RAPL).

    Formula: energy_per_1000_tokens = 1000 · (counter after − counter before) / tokens written, of the whole package:
        what else runs is in it
    Source: Khan et al. 2018, RAPL in Action, https://doi.org/10.1145/3177754.

    ``energy_counters`` is how many counters were read; at 0 (a virtual machine, no right to read them) the energy is
    measured and undefined. Nothing is estimated from a data sheet.

    Args:
        prompt_tokens: read before writing, not counted.
        new_tokens: written in a round.
        seconds: for each subject at least; a counter moves once a millisecond.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(self, prompt_tokens: Count = 64, new_tokens: Count = 32, seconds: Positive = 2.0) -> None:
        self.prompt_tokens, self.new_tokens, self.seconds = prompt_tokens, new_tokens, seconds

    def measure(self, subjects: Sequence[Subject]) -> Mapping[str, list[Measured]]:
        files = counters()
        with computed([subject.model for subject in subjects], "sdpa"):
            return {one.name: self._rows(one, files) if _runs(one) else [] for one in subjects}

    def _rows(self, subject: Subject, files: Sequence[Path]) -> list[Measured]:
        if not files:
            return [Measured("energy_counters", 0, "count"), Measured("energy_per_1000_tokens", float("nan"), "J", 0)]
        ids = prompt(subject, self.prompt_tokens + self.new_tokens)[:, : self.prompt_tokens]
        joules, tokens, begin = 0.0, 0, time.perf_counter()
        while tokens == 0 or time.perf_counter() - begin < self.seconds:
            writer = Writer(subject)
            token, before = writer.read(ids), read(files)
            for _ in range(self.new_tokens):
                token = writer.read(token)
            joules, tokens = joules + spent(before, read(files), files), tokens + self.new_tokens
        return [
            Measured("energy_counters", len(files), "count"),
            Measured("energy_per_1000_tokens", 1000 * joules / tokens, "J", tokens),
        ]


def _runs(subject: Subject) -> bool:
    """Whether what its model does is what it costs; that of a reader which widens a file is not."""
    return subject.file is None or subject.file.answers


def counters(root: Path = COUNTERS) -> list[Path]:
    """Of whole packages (``intel-rapl:0``, not its parts ``intel-rapl:0:0``), as far as they can be read."""
    found = []
    for file in sorted(root.glob("*-rapl:*/energy_uj")):
        if file.parent.name.count(":") == 1:
            try:
                int(file.read_text(encoding="ascii"))
            except (OSError, ValueError):
                continue
            found.append(file)
    return found


def read(files: Sequence[Path]) -> list[int]:
    """Microjoules."""
    return [int(file.read_text(encoding="ascii")) for file in files]


def spent(before: Sequence[int], after: Sequence[int], files: Sequence[Path]) -> float:
    """Joules between two readings; a counter that began anew is continued."""
    total = 0
    for old, new, file in zip(before, after, files, strict=True):
        total += new - old if new >= old else new - old + int((file.parent / "max_energy_range_uj").read_text())
    return total / 1e6
