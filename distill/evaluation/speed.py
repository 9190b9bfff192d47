"""How fast a model reads and writes, all subjects side by side in one run."""

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch

from distill.evaluation.attention import computed
from distill.evaluation.decoding import Writer
from distill.evaluation.footprint import prompt
from distill.evaluation.measure import Measured, ModelMeasure
from distill.evaluation.subject import Subject
from distill.evaluation.timed import Timed
from distill.ranges import Count, NonNegative


class Speed(ModelMeasure):
    """Tokens a second reading a prompt and writing on, latencies, and how many times the teacher's speed that is.

    Formula: prefill_tokens_per_second = median over rounds of prompt tokens / time to the first written token;
        decode_tokens_per_second = median over rounds of further tokens / time they took;
        prefill_speedup, decode_speedup = median over rounds of the ratio to the ``reference`` in the same round;
        first_token_ms and decode_token_ms = median over rounds and over tokens, /p95 and /p99 their percentiles

    Every round takes each subject once, so that a busy machine is busy for all of them: the speedups hold where the
    tokens a second do not. ``threads`` is the number of threads torch computes with, and belongs to the numbers. All
    subjects compute attention with the same kernel: the fused one if each has it.

    Args:
        prompt_tokens: of the prompt; fewer if the model has too few positions for it and what is written.
        new_tokens: written after the first.
        rounds: at least, after one round of warm-up that is not counted; ``n`` of the rows.
        seconds: at least for each subject, so that small models are measured in many rounds.
        reference: the subject that the others are compared with, if it is there.
        batch: prompts at once of a second measurement, whose rows end in ``/batch_<n>``; None makes none.

    A file that had to be widened to be read is timed by a runtime of its own, at batch 1, or not at all.

    Caveat: of few rounds, the 99th percentile is the slowest.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(
        self,
        prompt_tokens: Count = 128,
        new_tokens: Count = 32,
        rounds: Count = 5,
        seconds: NonNegative = 0.5,
        reference: str = "teacher",
        batch: Count | None = None,
    ) -> None:
        self.prompt_tokens, self.new_tokens, self.reference = prompt_tokens, new_tokens, reference
        self.rounds, self.seconds, self.batch = rounds, seconds, batch

    def measure(self, subjects: Sequence[Subject]) -> Mapping[str, list[Measured]]:
        found: dict[str, list[Measured]] = {subject.name: [] for subject in subjects}
        with computed([subject.model for subject in subjects], "sdpa"):
            for name, rows in self._at([one for one in subjects if _timed(one, 1)], 1, "").items():
                found[name] = [_threads(), *rows]
            if self.batch is not None:
                several = [one for one in subjects if _timed(one, self.batch)]
                for name, rows in self._at(several, self.batch, f"/batch_{self.batch:02d}").items():
                    found[name] += rows
        return found

    def _at(self, subjects: Sequence[Subject], batch: int, suffix: str) -> dict[str, list[Measured]]:
        room = self.new_tokens + 1  # for what is written, the first token too
        ids = {subject.name: prompt(subject, self.prompt_tokens + room) for subject in subjects}
        given = {name: one[:, : max(one.shape[1] - room, 1)].expand(batch, -1) for name, one in ids.items()}  # (B, S)
        times: dict[str, list[Timed]] = {subject.name: [] for subject in subjects}
        for subject in subjects:
            self._round(subject, given[subject.name])
        counted, begin = 0, time.perf_counter()
        while counted < self.rounds or time.perf_counter() - begin < self.seconds * len(subjects):
            for subject in subjects:
                times[subject.name].append(self._round(subject, given[subject.name]))
            counted += 1
        reference = times.get(self.reference)
        return {
            name: _rows(found, reference, batch, given[name].shape[1], self.new_tokens, suffix)
            for name, found in times.items()
        }

    def _round(self, subject: Subject, ids: torch.Tensor) -> Timed:
        if subject.file is not None and subject.file.clock is not None:
            return subject.file.clock(ids[0].tolist(), self.new_tokens)
        writer = Writer(subject)
        begin = _now(ids.device)
        token = writer.read(ids)
        first, each = _now(ids.device), []
        last = first
        for _ in range(self.new_tokens):
            token = writer.read(token)
            now = _now(ids.device)
            each.append(now - last)
            last = now
        return Timed(first - begin, each)


def _timed(subject: Subject, batch: int) -> bool:
    """Whether somebody can say how long it takes, so many prompts at once."""
    return subject.file is None or subject.file.answers or (batch == 1 and subject.file.clock is not None)


def _rows(
    found: list[Timed], reference: list[Timed] | None, batch: int, read: int, written: int, suffix: str
) -> list[Measured]:
    rows = []
    for kind, (name, tokens) in enumerate((("prefill", batch * read), ("decode", batch * written))):
        own = np.array([one.kinds[kind] for one in found])
        rows.append(_row(f"{name}_tokens_per_second{suffix}", tokens / np.median(own), "tokens/s", len(own)))
        if reference is not None:
            ratios = np.array([one.kinds[kind] for one in reference]) / own
            rows.append(_row(f"{name}_speedup{suffix}", np.median(ratios), "x", len(ratios)))
    first, each = [one.first for one in found], [token for one in found for token in one.each]
    for name, seconds in (("first_token_ms", first), ("decode_token_ms", each)):
        for share, end in ((50, ""), (95, "/p95"), (99, "/p99")):
            rows.append(_row(f"{name}{suffix}{end}", 1e3 * np.percentile(seconds, share), "ms", len(seconds)))
    return rows


def _row(metric: str, value: float, unit: str, n: int) -> Measured:
    return Measured(metric, float(value), unit, n)


def _threads() -> Measured:
    return Measured("threads", torch.get_num_threads(), "count")


def _now(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()
