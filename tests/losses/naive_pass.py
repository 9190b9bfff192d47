"""The naive computation that the one pass must equal: full logits, every term on all tokens, autograd."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

from distill.losses.chunk import Chunk
from distill.losses.loss import Loss, VocabularyLoss
from distill.losses.objective import Objective
from distill.losses.quantity import number
from distill.signals.dense import Dense
from distill.types import Batch, Head, Moment, Outputs, Signal, Weighed

CONF = Path(__file__).resolve().parents[2] / "conf"
NOW = Moment(step=3, steps=11)


def composed(group: str, name: str, overrides: Iterable[str] = ()) -> Any:
    """A choice of a group, made as the command line makes it."""
    return instantiate(_config(group, name, tuple(overrides)), _convert_="all")


@cache
def _config(group: str, name: str, overrides: tuple[str, ...]) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(None, [f"+{group}={name}", *overrides])[group]


def losses_of_text() -> list[str]:
    """Every yaml of ``conf/loss``, but for those about what only other data has, whose tests stand by themselves."""
    names = sorted(file.stem for file in (CONF / "loss").glob("*.yaml"))
    return [name for name in names if composed("loss", name).of_data is None]


def vocabulary_losses() -> list[str]:
    """Those that are evaluated inside the pass."""
    return [name for name in losses_of_text() if isinstance(composed("loss", name), VocabularyLoss)]


@dataclass
class Scene:
    """A student at N positions, with gradients, and a teacher; float64 unless told otherwise."""

    tokens: int = 7
    width: int = 5
    vocabulary: int = 13
    bias: bool = False
    scale: float = 1.0
    softcap: float | None = None
    frozen: bool = False
    dtype: torch.dtype = torch.float64
    seed: int = 0
    hidden: Tensor = field(init=False)
    weight: Tensor = field(init=False)
    offset: Tensor | None = field(init=False)
    teacher: Tensor = field(init=False)
    batch: Batch = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64).to(self.dtype)

        self.hidden = drawn(self.tokens, self.width).requires_grad_()
        self.weight = drawn(self.vocabulary, self.width).requires_grad_(not self.frozen)
        self.offset = drawn(self.vocabulary).requires_grad_() if self.bias else None
        self.teacher = drawn(self.tokens, self.vocabulary) * 2
        targets = torch.randint(self.vocabulary, (self.tokens,), generator=generator)
        self.batch = batch_of(targets)

    @property
    def head(self) -> Head:
        return Head(self.weight, self.offset, self.scale, self.softcap)

    @property
    def outputs(self) -> Outputs:
        return Outputs(self.hidden, self.head)

    @property
    def signal(self) -> Dense:
        return Dense(self.teacher)

    @property
    def leaves(self) -> list[Tensor]:
        leaves = [self.hidden, self.weight, self.offset]
        return [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]


def batch_of(targets: Tensor) -> Batch:
    """Samples of three tokens each, at odd positions."""
    tokens = torch.arange(targets.shape[0])
    samples = tuple(f"{index:064x}" for index in range(1 + targets.shape[0] // 3))
    return Batch({}, {}, 2 * tokens + 1, 2 * tokens + 1, targets, tokens // 3, samples)


def part_of(scene: Scene, rows: slice) -> tuple[Outputs, Dense, Batch]:
    """A micro-batch cut out of a scene."""
    return Outputs(scene.hidden[rows], scene.head), Dense(scene.teacher[rows]), batch_of(scene.batch.targets[rows])


def naive(scene: Scene, losses: dict[str, Loss], temperature: float, signal: Signal | None = None) -> Weighed:
    """sum_i weight_i · sum_n term_i[n] on full logits."""
    signal = scene.signal if signal is None else signal
    logits = scene.head.logits(scene.hidden)
    chunk = Chunk(logits, scene.batch.targets, signal, signal.chunk(slice(None)), temperature)
    terms = {name: loss(chunk).sum() for name, loss in losses.items() if isinstance(loss, VocabularyLoss)}
    total = sum((number(losses[name].weight) * term for name, term in terms.items()), start=logits.new_zeros(()))
    return Weighed(total, {name: term.detach() for name, term in terms.items()}, scene.tokens)


def gradients(total: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """Of a total, zeros where nothing depends on a leaf."""
    found = torch.autograd.grad(total, leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]


def close(ours: list[Tensor], theirs: list[Tensor], relative: float = 1e-10) -> None:
    """Equal relative to the largest entry of each."""
    for left, right in zip(ours, theirs, strict=True):
        scale = max(right.abs().max().item() if right.numel() else 0.0, 1e-12)
        torch.testing.assert_close(left, right, rtol=0, atol=relative * scale)


def run(objective: Objective, scene: Scene, signal: Signal | None = None) -> Weighed:
    return objective(scene.outputs, scene.signal if signal is None else signal, scene.batch, NOW)
