"""How near the loss over the vocabulary is to the floor, and to its peers: time and peak memory, forward and backward.

    python benchmarks/vocabulary.py --json OUT.jsonl                 # every variant that is installed, all sizes
    python benchmarks/vocabulary.py --sizes 49152x512 --rounds 7     # one size
    python benchmarks/vocabulary.py --supervised 0.3                 # what peers pay for tokens that are masked

Variants (``benchmarks/variants.py``) run interleaved in one process on one thread, so that a busy machine disturbs them
alike; a time is the median of CPU seconds, a ratio is the median over rounds of two times of the same round. Peak
memory is that of a process of its own, above the inputs: a fork, so that nothing is imported or compiled again.

Left out on purpose: the models' bodies, the optimiser, GPUs (``--device cuda`` runs ours and the floor, as a start).
"""

import argparse
import ctypes
import gc
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from benchmarks.variants import OURS, TEACHER_WIDTH, VARIANTS, WIDTH, Run, Work
from distill.rows import Row, append

SIZES = "49152x512,151936x128,32000x2048"


@dataclass(frozen=True)
class Measured:
    """A variant at one size.

    Attributes:
        times: CPU seconds, one a round.
        peak: MiB above the inputs; None where it was not asked for.
    """

    times: list[float]
    peak: float | None = None

    def over(self, other: "Measured") -> float:
        """How many times as long it takes."""
        return statistics.median(mine / base for mine, base in zip(self.times, other.times, strict=True))


def prepared(names: list[str]) -> dict[str, Run]:
    """Those that can run here; the others are told and left out."""
    ready = {}
    for name in names:
        try:
            ready[name] = VARIANTS[name].make()
        except ImportError as missing:
            print(f"{name}: not measured, {missing}", file=sys.stderr)
    return ready


def seconds(run: Run, work: Work) -> float:
    """CPU seconds of one forward and backward, from gradients that do not exist yet."""
    work.hidden.grad = work.weight.grad = None
    if work.device == "cuda":
        torch.cuda.synchronize()
        start = time.perf_counter()
        run(work)
        torch.cuda.synchronize()
        return time.perf_counter() - start
    start = time.thread_time()
    run(work)
    return time.thread_time() - start


def times(variants: dict[str, Run], work: Work, rounds: int) -> dict[str, list[float]]:
    """Interleaved: one of each, ``rounds`` times, after one that is not counted."""
    measured: dict[str, list[float]] = {name: [] for name in variants}
    for counted in range(rounds + 1):
        for name, run in variants.items():
            took = seconds(run, work)
            if counted:
                measured[name].append(took)
    return measured


def peak(run: Run, work: Work) -> float:
    """MiB that a run adds to the inputs, in a forked process."""
    work.hidden.grad = work.weight.grad = None
    gc.collect()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(None).malloc_trim(0)  # what earlier runs freed and the allocator kept
            Path("/proc/self/clear_refs").write_text("5")  # the highest mark is now what is in use
            before = _highest()
            run(work)
            os.write(write, str(_highest() - before).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        said = told.read()
    os.waitpid(child, 0)
    return float(said)


def _highest() -> float:
    """MiB."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure(size: str, names: list[str], options: argparse.Namespace) -> dict[str, Measured]:
    """One size: times of all variants, then their peaks; a table of both."""
    vocabulary, tokens = map(int, size.split("x"))
    work = Work(vocabulary, tokens, options.supervised, options.device)
    variants = prepared(names)
    took = times(variants, work, options.rounds)
    peaks = {name: peak(run, work) for name, run in variants.items()} if options.memory else {}
    measured = {name: Measured(took[name], peaks.get(name)) for name in variants}
    print(f"\nV = {vocabulary}, N = {tokens}, {options.supervised:.0%} supervised, median of {options.rounds}\n")
    print("| variant | × floor | × ours | ms | peak MiB |\n|---|---|---|---|---|")
    for name, one in measured.items():
        told = [f"{value:.2f}" if value else "" for value in (above_floor(name, measured), behind_ours(name, measured))]
        memory = "" if one.peak is None else f"{one.peak:.0f}"
        print(f"| {name} | {' | '.join(told)} | {1e3 * statistics.median(one.times):.0f} | {memory} |", flush=True)
    return measured


def above_floor(name: str, measured: dict[str, Measured]) -> float | None:
    floor = measured.get(VARIANTS[name].floor)
    return None if floor is None else measured[name].over(floor)


def behind_ours(name: str, measured: dict[str, Measured]) -> float | None:
    """How many times as long as ours of the same kind, the default one."""
    own = OURS.get(VARIANTS[name].kind)
    return None if own is None or own not in measured else measured[name].over(measured[own])


def rows(size: str, measured: dict[str, Measured], options: argparse.Namespace) -> list[Row]:
    """Subject is the variant; ``ratio`` is to its floor, ``behind`` to ours of its kind."""
    made = []
    for name, one in measured.items():
        told = {
            "ratio": (above_floor(name, measured), "x"),
            "behind": (behind_ours(name, measured), "x"),
            "time": (1e3 * statistics.median(one.times), "ms"),
            "peak": (one.peak, "MiB"),
        }
        where = f"vocabulary/{size}/{options.supervised:g}"
        made += [
            Row(name, f"{where}/{what}", value, unit, "none", 0, 0, len(one.times))
            for what, (value, unit) in told.items()
            if value is not None
        ]
    return made


@dataclass(frozen=True)
class Target:
    """What is wanted of one number.

    Attributes:
        name: what it is.
        value: as measured; None if it was not.
        wanted: the bound.
        most: it may not be above the bound; else not below.
    """

    name: str
    value: float | None
    wanted: float
    most: bool = False

    def line(self) -> str:
        bound = f"{'≤' if self.most else '≥'} {self.wanted:.2f}"
        if self.value is None:
            return f"| {self.name} | {bound} | not measured | |"
        met = self.value <= self.wanted if self.most else self.value >= self.wanted
        return f"| {self.name} | {bound} | {self.value:.2f} | {'met' if met else 'missed'} |"


def targets(measured: dict[str, Measured], supervised: float) -> list[Target]:
    """The project's, for one size."""

    def behind(name: str) -> float | None:
        return behind_ours(name, measured) if name in measured else None

    def memory(peer: str, own: str) -> float | None:
        one, other = measured.get(peer), measured.get(own)
        return one.peak / other.peak if one and other and one.peak and other.peak else None

    if supervised < 1:
        return [Target("TRL KL / ours", behind("TRL KL"), 4.0), Target("Liger KL / ours", behind("Liger KL"), 2.5)]
    dense = [OURS[kind] for kind in ("KL", "JSD", "mix") if OURS[kind] in measured]
    return [
        *(Target(f"{name} / floor", above_floor(name, measured), 1.20, most=True) for name in dense),
        Target("TRL KL / ours", behind("TRL KL"), 1.7),
        Target("TRL JSD / ours", behind("TRL JSD"), 2.5),
        Target("Liger KL / ours", behind("Liger KL"), 1.0),
        Target("Liger JSD / ours", behind("Liger JSD"), 1.0),
        Target("Liger KL / ours, memory", memory("Liger KL", "ours KL"), 3.0),
        Target("Liger JSD / ours, memory", memory("Liger JSD", "ours JSD"), 3.0),
        Target("naive top-64 / ours", behind("naive top-64"), 1.3),
    ]


def flat(size: str, options: argparse.Namespace) -> Target:
    """Peak memory at four times the tokens over that at N (a whole chunk at least), without the states that are
    gathered and their gradient: N times a few widths, whoever computes."""
    vocabulary, tokens = map(int, size.split("x"))
    tokens = max(tokens, 256)
    run = prepared(["ours KL"])["ours KL"]
    few, many = (Work(vocabulary, n * tokens, options.supervised) for n in (1, 4))
    run(Work(vocabulary, 8, 1.0))
    beyond = [peak(run, work) - work.tokens * (2 * WIDTH + TEACHER_WIDTH) * 4 / 2**20 for work in (many, few)]
    return Target(f"ours KL, memory at N = {4 * tokens} / {tokens}", beyond[0] / beyond[1], 1.10, most=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="append the rows to this file")
    parser.add_argument("--sizes", default=SIZES, help=f"VxN, comma-separated ({SIZES})")
    parser.add_argument("--supervised", type=float, default=1.0, help="share of the tokens that are supervised")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--variants", help="semicolon-separated; all if not given")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="times only")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    options.memory &= options.device == "cpu"
    torch.set_num_threads(1)
    names = options.variants.split(";") if options.variants else list(VARIANTS)
    for size in options.sizes.split(","):
        measured = measure(size, names, options)
        wanted = targets(measured, options.supervised)
        wanted += [flat(size, options)] if options.memory and options.supervised == 1 else []
        print(
            "\n| target | wanted | measured | |\n|---|---|---|---|", *(t.line() for t in wanted), sep="\n", flush=True
        )
        if options.json:
            append(options.json, rows(size, measured, options))


if __name__ == "__main__":
    main()
