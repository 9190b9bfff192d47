"""How near the loss over the vocabulary is to the floor, and to its peers: time and peak memory, forward and backward.

    python benchmarks/vocabulary.py --json OUT.jsonl                 # every variant that is installed, all sizes
    python benchmarks/vocabulary.py --sizes 49152x512 --rounds 7     # one size
    python benchmarks/vocabulary.py --supervised 0.3                 # what peers pay for tokens that are masked

Every variant starts from final hidden states of student (width 512) and teacher (width 1024) and ends with gradients on
the student's states and head. The floor is the four products that nobody can avoid: student logits, teacher logits,
gradient of the states, gradient of the head. Variants run interleaved in one process on one thread, so that a busy
machine disturbs them alike; a time is the median of CPU seconds, a ratio is to the floor of the same round. Peak
memory is that of a process of its own, above the inputs.

Left out on purpose: the models' bodies, the optimiser, GPUs (``--device cuda`` runs ours and the floor, as a start).
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from torch import Tensor

from distill.divergences.jensen_shannon import jensen_shannon
from distill.divergences.kl import forward_kl, reverse_kl
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.divergence import Divergence
from distill.losses.loss import Loss
from distill.losses.objective import Objective
from distill.rows import Row, append
from distill.signals.hidden import Hidden
from distill.types import Batch, Head, Moment, Outputs

SIZES = "49152x512,151936x128,32000x2048"
WIDTH, TEACHER_WIDTH = 512, 1024


@dataclass
class Work:
    """The inputs of one measurement: N positions, of which ``targets`` other than −100 are supervised."""

    vocabulary: int
    tokens: int
    supervised: float
    device: str = "cpu"

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        on = {"device": self.device}
        self.hidden = torch.randn(self.tokens, WIDTH, **on).requires_grad_()
        self.weight = (torch.randn(self.vocabulary, WIDTH, **on) * 0.05).requires_grad_()
        self.teacher_hidden = torch.randn(self.tokens, TEACHER_WIDTH, **on)
        self.teacher_weight = torch.randn(self.vocabulary, TEACHER_WIDTH, **on) * 0.05
        self.targets = torch.randint(self.vocabulary, (self.tokens,), **on)
        self.targets[int(self.supervised * self.tokens) :] = -100

    def logits(self) -> tuple[Tensor, Tensor]:
        """All of them, as peers make them: (N, V) each."""
        with torch.no_grad():
            teacher = self.teacher_hidden @ self.teacher_weight.T
        return self.hidden @ self.weight.T, teacher


def floor(work: Work) -> Tensor:
    """The four products, of supervised tokens only."""
    keep = work.targets >= 0
    with torch.no_grad():
        hidden = work.hidden[keep]
        teacher = work.teacher_hidden[keep] @ work.teacher_weight.T
        logits = hidden @ work.weight.T
        of_hidden, of_weight = logits @ work.weight, logits.T @ hidden
    return teacher[0, 0] + of_hidden[0, 0] + of_weight[0, 0]


def ours(
    *losses: tuple[str, Loss], compiled: bool = True, kernel: bool = False, chunk: int = 256
) -> Callable[[Work], Tensor]:
    """An objective, as a training step calls it: supervised tokens are gathered before the head."""
    objective = Objective(dict(losses), chunk=chunk, compile=compiled, kernel=kernel)

    def run(work: Work) -> Tensor:
        keep = work.targets >= 0
        targets = work.targets[keep]
        index = torch.arange(targets.shape[0], device=targets.device)
        batch = Batch({}, {}, index, index, targets, torch.zeros_like(index), ("",))
        signal = Hidden(work.teacher_hidden[keep], Head(work.teacher_weight))
        weighed = objective(Outputs(work.hidden[keep], Head(work.weight)), signal, batch, Moment(0, 1))
        weighed.total.backward()
        return weighed.total.detach() / weighed.tokens

    return run


def naive(divergence: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Work], Tensor]:
    """Full logits, our divergence, autograd."""

    def run(work: Work) -> Tensor:
        student, teacher = work.logits()
        value = divergence(teacher.log_softmax(-1), student.log_softmax(-1))
        return _finished(value[work.targets >= 0].mean())

    return run


def trl(beta: float) -> Callable[[Work], Tensor]:
    from trl.experimental.gkd.gkd_trainer import GKDTrainer

    def run(work: Work) -> Tensor:
        student, teacher = work.logits()
        return _finished(
            GKDTrainer.generalized_jsd_loss(student[None], teacher[None], labels=work.targets[None], beta=beta)
        )

    return run


def liger(beta: float) -> Callable[[Work], Tensor]:
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDLoss

    loss = LigerFusedLinearJSDLoss(weight_hard_loss=0.0, weight_soft_loss=1.0, beta=beta, compiled=True)

    def run(work: Work) -> Tensor:
        args = (work.hidden, work.weight, work.teacher_hidden, work.teacher_weight, work.targets)
        return _finished(loss(*args))

    return run


def torchtune() -> Callable[[Work], Tensor]:
    from torchtune.modules.loss.kd_losses import ForwardKLLoss

    loss = ForwardKLLoss()

    def run(work: Work) -> Tensor:
        student, teacher = work.logits()
        return _finished(loss(student, teacher, work.targets))

    return run


def _finished(loss: Tensor) -> Tensor:
    loss.backward()
    return loss.detach()


def kd(divergence: Callable[..., Tensor], weight: float = 1.0) -> Divergence:
    return Divergence(divergence, weight=weight)


def mixed() -> list[tuple[str, Loss]]:
    """Three divergences and the data's word."""
    divergences = [("f", forward_kl, 0.5), ("r", reverse_kl, 0.3), ("j", jensen_shannon, 0.2)]
    return [*((name, kd(function, weight)) for name, function, weight in divergences), ("ce", CrossEntropy(0.1))]


VARIANTS: dict[str, Callable[[], Callable[[Work], Tensor]]] = {
    "floor": lambda: floor,
    "ours KL": lambda: ours(("kd", kd(forward_kl)), kernel=True),
    "ours JSD": lambda: ours(("kd", kd(jensen_shannon)), kernel=True),
    "ours KL + RKL + JSD + CE": lambda: ours(*mixed(), kernel=True),
    "ours KL compiled": lambda: ours(("kd", kd(forward_kl))),
    "ours JSD compiled": lambda: ours(("kd", kd(jensen_shannon))),
    "ours KL eager": lambda: ours(("kd", kd(forward_kl)), compiled=False),
    "ours JSD eager": lambda: ours(("kd", kd(jensen_shannon)), compiled=False),
    "naive KL": lambda: naive(forward_kl),
    "naive JSD": lambda: naive(jensen_shannon),
    "TRL KL": lambda: trl(0.0),
    "TRL JSD": lambda: trl(0.5),
    "Liger KL": lambda: liger(0.0),
    "Liger JSD": lambda: liger(0.5),
    "torchtune KL": torchtune,
}


def prepared(names: list[str]) -> dict[str, Callable[[Work], Tensor]]:
    """Those that can run here; the others are told and left out."""
    ready = {}
    for name in names:
        try:
            ready[name] = VARIANTS[name]()
        except ImportError as missing:
            print(f"{name}: not measured, {missing}", file=sys.stderr)
    return ready


def seconds(run: Callable[[Work], Tensor], work: Work) -> float:
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


def times(variants: dict[str, Callable[[Work], Tensor]], work: Work, rounds: int) -> dict[str, list[float]]:
    """Interleaved: one of each, ``rounds`` times, after one that is not counted."""
    measured: dict[str, list[float]] = {name: [] for name in variants}
    for counted in range(rounds + 1):
        for name, run in variants.items():
            took = seconds(run, work)
            if counted:
                measured[name].append(took)
    return measured


def peak(name: str, size: str, supervised: float) -> float:
    """MiB above the inputs, in a process of its own (after a run on few tokens has loaded what it needs)."""
    command = [sys.executable, __file__, "--peak", name, "--sizes", size, "--supervised", str(supervised)]
    made = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": _root()}
    )
    return float(made.stdout.strip().splitlines()[-1])


def own_peak(name: str, size: str, supervised: float) -> float:
    """What ``peak`` asks its child for."""
    vocabulary, tokens = map(int, size.split("x"))
    run = prepared([name])[name]
    for small in (40, 48):  # compiles for any number of tokens
        run(Work(257, small, 1.0))
    work = Work(vocabulary, tokens, supervised)
    before = _resident()
    _reset_peak()
    run(work)
    return (_highest() - before) / 2**20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _highest() -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _root() -> str:
    return str(Path(__file__).resolve().parents[1])


def measure(size: str, names: list[str], options: argparse.Namespace) -> list[Row]:
    """One size: times of all variants, then their peaks; a table as it goes."""
    vocabulary, tokens = map(int, size.split("x"))
    work = Work(vocabulary, tokens, options.supervised, options.device)
    variants = prepared(names)
    measured = times(variants, work, options.rounds)
    print(f"\nV = {vocabulary}, N = {tokens}, {options.supervised:.0%} supervised")
    print(f"{'':28}{'× floor':>9}{'ms':>9}{'peak MiB':>10}")
    rows = []
    for name, took in measured.items():
        ratio = statistics.median(mine / base for mine, base in zip(took, measured["floor"], strict=True))
        told = {"ratio": (ratio, "fraction"), "time": (1e3 * statistics.median(took), "ms")}
        if options.memory:
            told["peak"] = (peak(name, size, options.supervised), "MiB")
        print(f"{name:28}{ratio:9.2f}{told['time'][0]:9.0f}{told.get('peak', (float('nan'),))[0]:10.0f}", flush=True)
        where = f"vocabulary/{size}/{options.supervised:g}"
        rows += [Row(name, f"{where}/{what}", v, unit, "none", 0, 0, len(took)) for what, (v, unit) in told.items()]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="append the rows to this file")
    parser.add_argument("--sizes", default=SIZES, help=f"VxN, comma-separated ({SIZES})")
    parser.add_argument("--supervised", type=float, default=1.0, help="share of the tokens that are supervised")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--variants", help="comma-separated; all if not given")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="times only")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak:
        print(own_peak(options.peak, options.sizes, options.supervised))
        return
    names = ["floor", *(n for n in (options.variants or ",".join(VARIANTS)).split(",") if n != "floor")]
    for size in options.sizes.split(","):
        rows = measure(size, names, options)
        if options.json:
            append(options.json, rows)


if __name__ == "__main__":
    main()
