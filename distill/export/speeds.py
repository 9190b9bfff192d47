"""How fast a file, its student and the teacher read and write, taking turns in the same minutes.

Formula: prefill_tokens_per_second = median over rounds of prompt tokens / time to the first written token;
    decode_tokens_per_second = median over rounds of further tokens / time they took;
    prefill_speedup_to_student, decode_speedup_to_student = median over rounds of the ratio in the same round, and with
    to_teacher; first_token_ms, decode_token_ms = median, with /p95 the 95th percentile over rounds and over tokens
"""

from collections.abc import Mapping

import numpy as np
import torch

from distill.evaluation.measure import Measured
from distill.evaluation.timed import Timed
from distill.export.runner import Runner


def in_turns(
    runners: Mapping[str, Runner],
    prompt_tokens: int,
    new_tokens: int,
    rounds: int,
    about: tuple[Mapping[str, np.ndarray], list[int]] | None = None,
) -> dict[str, list[Measured]]:
    """Rows by name; beside the speeds of each, its ratio to those of the others that are named student and teacher.

    Args:
        runners: by name; every round asks each of them once.
        prompt_tokens: read at once; fewer if one of them has fewer positions.
        new_tokens: written one by one.
        rounds: after one of warm-up.
        about: for those that hear or see something, that and the ids to be read instead; it is timed with the prompt.
    """
    longest = min((one.positions or prompt_tokens + new_tokens for one in runners.values()), default=2) - 1
    new = max(1, min(new_tokens, longest - 1))
    known = min((one.vocabulary for one in runners.values()), default=1)
    ids = [(i * 7919 + 1) % known for i in range(max(1, min(prompt_tokens, longest - new)))]
    heard, ids = ({}, ids) if about is None else (about[0], about[1][: max(1, longest - new)])
    found: dict[str, list[Timed]] = {name: [] for name in runners}
    for _ in range(rounds + 1):
        for name, runner in runners.items():
            found[name].append(runner.taken(ids, new, heard))
    counted = {name: taken[1:] for name, taken in found.items()}
    return {name: _rows(name, counted, len(ids), new) for name in runners}


def _rows(name: str, found: Mapping[str, list[Timed]], read: int, written: int) -> list[Measured]:
    rows = [Measured("threads", torch.get_num_threads(), "count")]
    own = found[name]
    for kind, (word, tokens) in enumerate((("prefill", read), ("decode", written))):
        seconds = np.array([one.kinds[kind] for one in own])
        rows.append(Measured(f"{word}_tokens_per_second", float(tokens / np.median(seconds)), "tokens/s", len(own)))
        for other in ("student", "teacher"):
            if other in found and other != name:
                ratio = np.median(np.array([one.kinds[kind] for one in found[other]]) / seconds)
                rows.append(Measured(f"{word}_speedup_to_{other}", float(ratio), "x", len(own)))
    times = {"first_token_ms": [one.first for one in own], "decode_token_ms": [t for one in own for t in one.each]}
    for metric, seconds in times.items():
        for share, end in ((50, ""), (95, "/p95")):
            value = 1e3 * float(np.percentile(seconds, share))
            rows.append(Measured(f"{metric}{end}", value, "ms", len(seconds)))
    return rows
