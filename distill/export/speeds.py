"""How fast a file and its student read and write, taking turns in the same minutes.

Formula: prefill_tokens_per_second = median over rounds of prompt tokens / time to the first written token;
    decode_tokens_per_second = median over rounds of further tokens / time they took;
    prefill_speedup_to_student, decode_speedup_to_student = median over rounds of the ratio in the same round
"""

import time
from statistics import median

import torch

from distill.evaluation.measure import Measured
from distill.evaluation.subject import Subject
from distill.export.runner import Runner
from distill.export.torch_runner import TorchRunner

Speeds = list[tuple[float, float]]


def side_by_side(
    file: Runner | None, student: Subject, prompt_tokens: int, new_tokens: int, rounds: int
) -> tuple[list[Measured], list[Measured]]:
    """Rows of the file and of the student; of the student alone where the file is run by something else.

    Args:
        file: that takes turns with the student, or None.
        student: in evaluation mode.
        prompt_tokens: read at once; fewer if the student has fewer positions.
        new_tokens: written one by one.
        rounds: after one of warm-up.
    """
    own = TorchRunner(student.model, student.vocabulary)
    longest = (own.positions or prompt_tokens + new_tokens) - 1
    new = max(1, min(new_tokens, longest - 1))
    ids = [(i * 7919 + 1) % student.vocabulary for i in range(max(1, min(prompt_tokens, longest - new)))]
    runners = [own] if file is None else [own, file]
    found: list[Speeds] = [[] for _ in runners]
    for _ in range(rounds + 1):
        for runner, speeds in zip(runners, found, strict=True):
            speeds.append(_timed(runner, ids, new))
    beside = _rows(found[0][1:], None)
    return (_rows(found[1][1:], found[0][1:]) if len(found) > 1 else []), beside


def _timed(runner: Runner, ids: list[int], new: int) -> tuple[float, float]:
    """(prefill, decode) tokens a second."""
    runner.restart()
    begin = time.perf_counter()
    token = int(runner.read(ids, last=True)[-1].argmax())
    middle = time.perf_counter()
    for _ in range(new):
        token = int(runner.read([token], last=True)[-1].argmax())
    return len(ids) / (middle - begin), new / (time.perf_counter() - middle)


def _rows(own: Speeds, reference: Speeds | None) -> list[Measured]:
    rows = [Measured("threads", torch.get_num_threads(), "count")]
    for kind, name in enumerate(("prefill", "decode")):
        speeds = [one[kind] for one in own]
        rows.append(Measured(f"{name}_tokens_per_second", median(speeds), "tokens/s", len(speeds)))
        if reference is not None:
            ratios = [mine / theirs[kind] for mine, theirs in zip(speeds, reference, strict=True)]
            rows.append(Measured(f"{name}_speedup_to_student", median(ratios), "x", len(ratios)))
    return rows
