"""What a step costs beside its arithmetic: Lightning and the run's callbacks over a bare loop, padding over packing.

    python benchmarks/step.py                    # two minutes of one core
    python benchmarks/step.py --json OUT.jsonl

A teacher (4 layers of width 256), a student (2), random weights, the documentation inside Python in 1,024 tokens.
*Overhead*: the same batches through ``Fit`` as a run calls it (rows, progress and signals watched, logging every 10
steps, no validation or checkpoint inside), and through a loop that answers, teaches, weighs, divides, clips and steps.
*Packing*: text in rows of 512 tokens and, in random order, one piece a row, padded to the longest of its batch; CPU
seconds a supervised token. Interleaved on one thread after a round that is not counted; a ratio is the median over
rounds of two times of the same round.

Left out on purpose: writing checkpoints and validating, which a run chooses the cadence of.
"""

import argparse
import io
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytorch_lightning as pl
import torch
from rich.console import Console
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from distill.alignment.identity import Identity
from distill.data.text import TextData
from distill.data.tokenizer import TrainedBPE
from distill.divergences.kl import forward_kl
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.divergence import Divergence
from distill.losses.objective import Objective
from distill.models import answer
from distill.rollouts.data import Data
from distill.rows import Row, append
from distill.students.from_scratch import FromScratch
from distill.teachers.live import Live
from distill.teachers.teacher import Teacher
from distill.training.distiller import Distiller
from distill.training.fit import Cadence, Fit
from distill.training.optim import AdamW
from distill.types import Batch, Moment

NEVER = 10**9


def objective() -> Objective:
    return Objective({"kd": Divergence(forward_kl), "ce": CrossEntropy(0.5)})


class Replayed(TextData):
    """The text's first batches, made beforehand: both sides read the same ones, and neither pays for making them."""

    def kept(self, count: int) -> None:
        self.batches = [self.batch(index) for index in range(count)]

    def stream(self, start: int = 0, rank: int = 0, world_size: int = 1) -> DataLoader[Batch]:
        return DataLoader(self.batches[start:], batch_size=None)  # type: ignore[arg-type]

    def validation_batches(self, rank: int = 0, world_size: int = 1) -> Sequence[Batch]:  # type: ignore[override]
        return self.batches[:1]


class Clock(pl.Callback):
    """CPU seconds at the end of every step."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: object) -> None:
        self.ends.append(time.thread_time())


def lightning(student: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, teacher: Teacher, data: Replayed) -> float:
    """CPU seconds a step inside a run."""
    steps, clock = len(data.batches), Clock()

    def trainer(**given: object) -> pl.Trainer:
        quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        return pl.Trainer(
            accelerator="cpu", limit_val_batches=0, num_sanity_val_steps=0, use_distributed_sampler=False,
            gradient_clip_val=1.0, log_every_n_steps=10, **quiet, **given,  # type: ignore[arg-type]
        )  # fmt: skip

    def make() -> Distiller:
        return Distiller(student, objective(), teacher, Data(), Identity(), AdamW(), steps)

    with tempfile.TemporaryDirectory() as folder:
        console = Console(file=io.StringIO())
        fit = Fit(Path(folder), data, tokenizer, trainer, Cadence(NEVER, NEVER), 0, console, callbacks=lambda: [clock])
        fit("student", make)
    return between(clock.ends)


def bare(student: PreTrainedModel, teacher: Teacher, batches: Sequence[Batch], weighs: Objective) -> float:
    """CPU seconds a step of the arithmetic alone."""
    ends = []
    optimizer, schedule = AdamW().build(student.named_parameters(), len(batches))
    parameters = [p for p in student.parameters() if p.requires_grad]
    for step, batch in enumerate(batches):
        outputs = answer(student, batch.inputs, batch.positions, weighs.request)
        weighed = weighs(outputs, teacher.teach(batch, weighs.teacher_request), batch, Moment(step, len(batches)))
        optimizer.zero_grad()
        weighed.total.backward()
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(1 / weighed.tokens)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        ends.append(time.thread_time())
    return between(ends)


def between(ends: list[float]) -> float:
    """The median step, the first and the last left out (a run validates and saves there)."""
    return statistics.median(later - earlier for earlier, later in pairwise(ends[:-1]))


def passes(student: PreTrainedModel, teacher: Teacher, batches: Sequence[Batch]) -> float:
    """CPU seconds a supervised token, forward and backward."""
    weighs, start = objective(), time.thread_time()
    for batch in batches:
        outputs = answer(student, batch.inputs, batch.positions, weighs.request)
        weighs(outputs, teacher.teach(batch, weighs.teacher_request), batch, Moment(0, 1)).total.backward()
    return (time.thread_time() - start) / sum(batch.tokens for batch in batches)


def text(length: int, rows: int, packing: bool, cache: str) -> Replayed:
    data = Replayed(tokenizer=TrainedBPE(1024), sequence_length=length, batch_size=rows, packing=packing, cache=cache)
    data.prepare()
    return data


def measure(rounds: int, steps: int) -> list[Row]:
    """Both, and a line for each."""
    with tempfile.TemporaryDirectory() as cache:
        together = text(256, 12, True, cache)
        tokenizer = together.prepare()
        torch.manual_seed(0)
        student = FromScratch(layers=2, width=256).build(tokenizer)
        folder = Path(cache) / "teacher"
        FromScratch(layers=4, width=256).build(tokenizer).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        teacher = Live(str(folder))
        together.kept(steps)
        pairs = [
            (lightning(student, tokenizer, teacher, together), bare(student, teacher, together.batches, objective()))
            for _ in range(rounds + 1)
        ][1:]
        packed, padded = text(512, 4, True, cache), text(512, 16, False, cache)
        packed.kept(8)
        padded.kept(8)
        costs = [tuple(passes(student, teacher, data.batches) for data in (padded, packed)) for _ in range(rounds + 1)]
    step = statistics.median(loop for _, loop in pairs)
    overhead = statistics.median(run / loop - 1 for run, loop in pairs)
    saved = statistics.median(one / other for one, other in costs[1:])
    real = padded.batches
    share = sum(batch.tokens for batch in real) / sum(batch.inputs["input_ids"].numel() for batch in real)
    print("| target | wanted | measured | |\n|---|---|---|---|")
    met = "met" if overhead <= 0.03 else "missed"
    print(f"| overhead of a run's step over a bare loop's {step:.2f} s | ≤ 3 % | {overhead:.1%} | {met} |")
    met = "met" if saved >= 2.5 else "missed"
    print(f"| packing over random padding ({share:.0%} of it real) | ≥ 2.5 | {saved:.2f} | {met} |")
    told = {"step/bare": (1e3 * step, "ms"), "step/overhead": (1 + overhead, "x"), "step/packing": (saved, "x")}
    return [Row("ours", name, value, unit, "none", 0, 0, rounds) for name, (value, unit) in told.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="append the rows to this file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    disable_progress_bar()
    torch.set_num_threads(1)
    made = measure(options.rounds, options.steps)
    if options.json:
        append(options.json, made)


if __name__ == "__main__":
    main()
