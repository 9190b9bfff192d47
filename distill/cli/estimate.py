"""What a run will cost before it is begun: parameters, tokens, memory, disk.

Sizes are exact: models are made of their configs on the meta device, no weight is loaded. Tokens are exact for packed
rows that are full. Disk is within five per cent of what finished runs use. Memory is a sum of what is known to be held
at once, a lower bound to plan with; the libraries themselves take about half a gibibyte more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli.beginning import begins_as_teacher, begun
from distill.cli.build import instantiate
from distill.cli.definitions import attribute
from distill.cli.nodes import part_of
from distill.cli.speaker import speaker, speakers
from distill.cli.tasks import planned_task
from distill.cli.tokenizers import own_tokenizer
from distill.errors import ResourceStop

if TYPE_CHECKING:
    from distill.types import ModelShape, Task

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
MOMENTS = 2 * 4
"""Bytes a parameter of Adam's two moments."""
KEPT, BEST = 2, 1
"""Checkpoints that stay: the newest two and the best point's weights; one more of each exists while it is written."""

TOKENIZER = 60
"""Bytes an id in ``tokenizer.json``, which lies beside every subject's weights."""
SMALL = 180 << 10
"""Bytes of everything else: report, config, rows of a short run, the tracker's offline files."""
A_STEP = 64
"""Bytes that an optimiser step adds to ``metrics.jsonl`` and its mirror, logged every ten."""


@dataclass(frozen=True)
class Estimate:
    """Numbers of a run.

    Attributes:
        student, teacher: sizes; the teacher's is None where there is none, or none that runs here.
        steps: optimiser steps by subject.
        tokens_per_step: supervised tokens of an optimiser step over all micro-batches and devices.
        memory: bytes of weights, gradients, optimiser, activations and the chunk of logits.
        disk: bytes of the finished run folder.
        disk_peak: bytes while the last subject is trained.
        store: bytes of a stored teacher's word, if no text comes twice and none is there yet; 0 where none is kept.
        passes: of the teacher at most.
        asking: FLOPs of those.
        training: FLOPs of everything else that is trained, and of what a rollout writes.
    """

    student: "ModelShape"
    teacher: "ModelShape | None"
    steps: Mapping[str, int]
    tokens_per_step: int
    memory: int
    disk: int
    disk_peak: int
    store: int = 0
    passes: int = 0
    asking: float = 0.0
    training: float = 0.0

    @property
    def tokens(self) -> int:
        """Supervised tokens of all subjects together."""
        return self.tokens_per_step * sum(self.steps.values())


def estimate(config: Mapping[str, Any], plugins: tuple[str, ...] = ()) -> Estimate:
    """The cost of a checked ``train`` config. Imports torch and transformers; loads configs and tokenizers only.

    Raises:
        BadInput: a model's folder cannot be used.
    """
    from distill.training.comparison import steps_of_subjects

    vocabulary = _vocabulary(config)
    student = _student(config, vocabulary, plugins)
    teacher = teacher_shape(config["teacher"], student, vocabulary, plugins, planned_task(config))
    unsized = teacher is None and any(node.get("url") for node in speakers(config["teacher"]).values())
    given = (config["control"], config["trainer"].get("max_steps", -1))
    rollout = instantiate(config["rollout"], plugins=plugins)
    writing = rollout.cost(student.flops_per_token, 0.0 if teacher is None else teacher.flops_per_token)
    steps = steps_of_subjects(*given, student, teacher, unsized=unsized, written=writing)
    devices = config["trainer"].get("devices", 1)
    pieces = config["trainer"].get("accumulate_grad_batches", 1)
    row_tokens = config["data"].get("batch_size", 1) * config["data"].get("sequence_length", 1)
    weight = BYTES[config["student"].get("dtype", "float32")]
    finished = student.parameters * weight + TOKENIZER * student.vocabulary
    small = SMALL + A_STEP * sum(steps.values())
    checkpoint = student.parameters * (weight + MOMENTS)
    tokens = row_tokens * pieces * (devices if isinstance(devices, int) and devices > 0 else 1)
    return Estimate(
        student=student,
        teacher=teacher,
        steps=steps,
        tokens_per_step=tokens,
        memory=_memory(config, student, teacher, row_tokens, weight),
        disk=len(steps) * finished + small,
        disk_peak=len(steps) * finished + small + (KEPT + 1) * checkpoint + (BEST + 1) * finished,
        store=_store(config, teacher, vocabulary, tokens * given[1], plugins),
        passes=0 if teacher is None else max(given[1], 0) * pieces,
        asking=0.0 if teacher is None else tokens * max(given[1], 0) * teacher.flops_per_token,
        training=tokens * (3 * student.flops_per_token * sum(steps.values()) + writing * max(given[1], 0)),
    )


def _store(
    config: Mapping[str, Any], teacher: "ModelShape | None", vocabulary: int, tokens: int, plugins: tuple[str, ...]
) -> int:
    """Formula: n · (bytes a token + 1/16 of a row's entry) + 4 V D of the head, where the kind keeps one"""
    node = config["teacher"].get("signal")
    if not isinstance(node, Mapping) or tokens < 0:
        return 0
    from distill.signals.kept.kept import Room
    from distill.signals.shard import ROW

    kind = instantiate(node, plugins=plugins)
    room = Room(vocabulary, teacher.width, teacher.layers) if teacher else Room(vocabulary, 0)
    head = 4 * teacher.vocabulary * teacher.width if teacher and kind.headed else 0
    return int(tokens * (kind.bytes_per_token(room) + ROW.itemsize / 16)) + head


def refuse_hopeless(estimate: Estimate, folder: str) -> None:
    """Stop before anything is loaded if the disk or the memory cannot hold the run.

    Raises:
        ResourceStop: with what is needed and what is free.
    """
    import psutil

    place = Path(folder).expanduser().absolute()
    free = psutil.disk_usage(str(next(above for above in (place, *place.parents) if above.exists()))).free
    if free < estimate.disk_peak:
        reason = f"needs {amount(estimate.disk_peak)} on disk, {amount(free)} are free"
        raise ResourceStop(folder, reason, remedy="free some, or choose another paths.root")
    memory = psutil.virtual_memory().total
    if memory < estimate.memory:
        reason = f"needs {amount(estimate.memory)} of memory, the machine has {amount(memory)}"
        raise ResourceStop("student, teacher, data.batch_size", reason, remedy="take a smaller model or batch")


def amount(count: float) -> str:
    """A number of bytes as a person reads it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _vocabulary(config: Mapping[str, Any]) -> int:
    """Ids of the run's tokenizer: a pretrained model's own, else as many as the data's recipe trains."""
    from distill.folders import known_ids

    own = own_tokenizer(config)
    return known_ids(own) if own is not None else config["data"]["tokenizer"].get("size", 1024)


def _bytes_per_weight(node: Mapping[str, Any]) -> float:
    """Of a teacher; as if embedding and head were rounded too."""
    return {"int8": 1, "int4": 0.5}.get(str(node.get("weights")), BYTES[node.get("dtype", "float32")])


def teacher_shape(
    teacher: Mapping[str, Any],
    student: "ModelShape",
    vocabulary: int,
    plugins: tuple[str, ...] = (),
    task: "Task | None" = None,
) -> "ModelShape | None":
    """The sizes of the models that speak, together; of those in turn, the dearest one's. None if one's is unknown."""
    from functools import reduce

    from distill.types import CAUSAL, ModelShape

    shapes = [_shape(node, student, vocabulary, plugins, task or CAUSAL) for node in speakers(teacher).values()]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return None
    part = part_of(teacher)
    if part is not None and attribute(part, "in_turn") is True:
        return max(known, key=lambda shape: shape.flops_per_token)
    return reduce(ModelShape.__add__, known)


def _shape(
    node: Mapping[str, Any], student: "ModelShape", vocabulary: int, plugins: tuple[str, ...], task: "Task"
) -> "ModelShape | None":
    from distill.cli.chain import chain_of

    part = part_of(node)
    if part is not None and attribute(part, "of_student") is True:
        return student
    if chain := chain_of(node):
        return instantiate(chain.stages[chain.order[-1]], plugins=plugins).of(task).shape(vocabulary)
    if node.get("path") is not None:
        from distill.folders import load_config
        from distill.models import shape

        return shape(load_config(_located(node)))
    if node.get("recipe"):
        own = node["recipe"].get("tokenizer") or {}
        task = replace(task, family=(node["recipe"].get("data") or {}).get("family", task.family))
        return instantiate(node["recipe"]["student"], plugins=plugins).of(task).shape(own.get("size", vocabulary))
    return None


def _student(config: Mapping[str, Any], vocabulary: int, plugins: tuple[str, ...]) -> "ModelShape":
    """Exact, but for a student cut from a teacher that is yet to be trained: at most as large as that."""
    node, teacher, task = config["student"], speaker(config["teacher"]), planned_task(config)
    if begins_as_teacher(node) and teacher.get("path") is None and teacher.get("recipe"):
        return instantiate(teacher["recipe"]["student"], plugins=plugins).of(task).shape(vocabulary)
    place = _located(teacher) if begins_as_teacher(node) and teacher.get("path") is not None else None
    return instantiate(dict(begun(node, place)), plugins=plugins).of(task).shape(vocabulary)


def _located(node: Mapping[str, Any]) -> str:
    from distill.folders import locate

    cache = node.get("cache")
    return locate(node["path"], node.get("wheel"), None if cache is None else Path(cache))


def _memory(
    config: Mapping[str, Any], student: "ModelShape", teacher: "ModelShape | None", row_tokens: int, weight: int
) -> int:
    """Formula: P_s (w + w + 8) + P_t w_t + 17 L D n 4 + 6 C V 4

    Activations of one layer are about 34 D values of two bytes a token (Korthikanti et al. 2022, arXiv:2205.05198,
    equation 1, without the attention matrix, which is never stored), that is 17 D of four.
    """
    own = student.parameters * (2 * weight + MOMENTS)
    widest = max(_bytes_per_weight(node) for node in speakers(config["teacher"]).values())
    told = int(teacher.parameters * widest) if teacher else 0
    activations = 17 * student.layers * student.width * row_tokens * 4
    logits = 6 * config["objective"].get("chunk", 256) * student.vocabulary * 4
    return own + told + activations + logits
