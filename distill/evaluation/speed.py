"""How fast a model reads and writes, all subjects side by side in one run."""

import time
from collections.abc import Mapping, Sequence
from statistics import median

import torch

from distill.evaluation.decoding import Writer
from distill.evaluation.footprint import prompt
from distill.evaluation.measure import Measured, ModelMeasure
from distill.evaluation.subject import Subject
from distill.ranges import Count, NonNegative


class Speed(ModelMeasure):
    """Tokens a second at batch 1, reading a prompt and writing on, and how many times the teacher's speed that is.

    Formula: prefill_tokens_per_second = median over rounds of prompt tokens / time to the first written token;
        decode_tokens_per_second = median over rounds of further tokens / time they took;
        prefill_speedup, decode_speedup = median over rounds of the ratio to the ``reference`` in the same round

    Every round takes each subject once, so that a busy machine is busy for all of them: the speedups hold where the
    tokens a second do not. ``threads`` is the number of threads torch computes with, and belongs to the numbers.

    Args:
        prompt_tokens: of the prompt.
        new_tokens: written after the first.
        rounds: at least, after one round of warm-up that is not counted; ``n`` of the rows.
        seconds: at least for each subject, so that small models are measured in many rounds.
        reference: the subject that the others are compared with, if it is there.
    """

    def __init__(
        self,
        prompt_tokens: Count = 128,
        new_tokens: Count = 32,
        rounds: Count = 5,
        seconds: NonNegative = 0.5,
        reference: str = "teacher",
    ) -> None:
        self.prompt_tokens, self.new_tokens, self.reference = prompt_tokens, new_tokens, reference
        self.rounds, self.seconds = rounds, seconds

    def measure(self, subjects: Sequence[Subject]) -> Mapping[str, list[Measured]]:
        ids = {s.name: prompt(s, self.prompt_tokens + self.new_tokens)[:, : self.prompt_tokens] for s in subjects}
        speeds: dict[str, list[tuple[float, float]]] = {subject.name: [] for subject in subjects}
        for subject in subjects:
            self._round(subject, ids[subject.name])
        counted, begin = 0, time.perf_counter()
        while counted < self.rounds or time.perf_counter() - begin < self.seconds * len(subjects):
            for subject in subjects:
                speeds[subject.name].append(self._round(subject, ids[subject.name]))
            counted += 1
        return {name: self._rows(found, speeds.get(self.reference)) for name, found in speeds.items()}

    def _round(self, subject: Subject, ids: torch.Tensor) -> tuple[float, float]:
        """(prefill, decode) tokens a second."""
        writer = Writer(subject)
        begin = _now(ids.device)
        token = writer.read(ids)
        middle = _now(ids.device)
        for _ in range(self.new_tokens):
            token = writer.read(token)
        end = _now(ids.device)
        return ids.shape[1] / (middle - begin), self.new_tokens / (end - middle)

    def _rows(self, found: list[tuple[float, float]], reference: list[tuple[float, float]] | None) -> list[Measured]:
        rows = [Measured("threads", torch.get_num_threads(), "count")]
        for kind, name in enumerate(("prefill", "decode")):
            own = [speeds[kind] for speeds in found]
            rows.append(Measured(f"{name}_tokens_per_second", median(own), "tokens/s", len(own)))
            if reference is not None:
                ratios = [mine / theirs[kind] for mine, theirs in zip(own, reference, strict=True)]
                rows.append(Measured(f"{name}_speedup", median(ratios), "x", len(ratios)))
        return rows


def _now(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()
