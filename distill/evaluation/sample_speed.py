"""How many samples a second a model classifies, one at a time and many at once, all subjects side by side."""

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import ClassVar

import torch

from distill.data.module import DataModule
from distill.evaluation.measure import Measured, SampleMeasure, Worked
from distill.evaluation.subject import Subject
from distill.models import answer
from distill.ranges import Count
from distill.types import Batch


class SampleSpeed(SampleMeasure):
    """Samples a second of held-out data, and how many times the teacher's that is.

    Formula: samples_per_second = samples / median over rounds of the time of a pass over them;
        sample_speedup = median over rounds of the ratio to the ``reference`` in the same round; /one: a batch of one

    Every round takes each subject once, so that a busy machine is busy for all of them. Tokenising is not counted.

    Args:
        rounds: after one that is not counted.
        singles: samples that are shown one at a time.
        reference: the subject that the others are compared with, if it is there.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"classification", "sentences"})

    def __init__(self, rounds: Count = 5, singles: Count = 16, reference: str = "teacher") -> None:
        self.rounds, self.singles, self.reference = rounds, singles, reference

    def measure(self, subjects: Sequence[Subject], data: DataModule) -> Worked:
        rows = data.rows["test"]
        many = [data.test_batches()[0]]
        one = [data.collate([row]) for row in rows[: self.singles]]
        found: dict[str, list[Measured]] = {subject.name: [] for subject in subjects}
        for batches, end in ((many, ""), (one, "/one")):
            times = self._times(subjects, batches)
            count = sum(len(batch.samples) for batch in batches)
            for name, own in times.items():
                found[name].append(Measured(f"samples_per_second{end}", count / median(own), "samples/s", len(own)))
                if (theirs := times.get(self.reference)) is not None:
                    ratios = [theirs[i] / own[i] for i in range(len(own))]
                    found[name].append(Measured(f"sample_speedup{end}", median(ratios), "x", len(ratios)))
        return Worked(found, [])

    def _times(self, subjects: Sequence[Subject], batches: Sequence[Batch]) -> Mapping[str, list[float]]:
        times: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        for counted in range(self.rounds + 1):
            for subject in subjects:
                begin = time.perf_counter()
                for batch in batches:
                    own = batch.taught if subject.taught else batch
                    outputs = answer(subject.model, own.inputs, own.positions)
                    outputs.head.logits(outputs.hidden)
                if subject.model.device.type != "cpu":
                    torch.accelerator.synchronize(subject.model.device)
                if counted:
                    times[subject.name].append(time.perf_counter() - begin)
        return times
