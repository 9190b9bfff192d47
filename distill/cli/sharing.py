"""Which runs of a sweep one process can train together around one teacher, and which key keeps the others apart.

What must be equal is everything that decides what the teacher is asked and how: data with its order and cut into
micro-batches, tokenizer, teacher, alignment, rollout, precision and device. What may differ is what a student makes of
the answer: objective, optimiser, its own sizes and seed, length, measures.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distill.cli.attention import opened
from distill.cli.changes import changes
from distill.cli.definitions import attribute
from distill.cli.identity import digest
from distill.cli.nodes import nodes, part_of

FREE = frozenset({"objective", "optim", "cadence", "measure", "control", "callbacks", "seed"})
FREE_TRAINER = frozenset({"max_steps", "gradient_clip_val", "gradient_clip_algorithm"})
AS_WRITTEN = "distill.rollouts.data.Data"


def group(config: Mapping[str, Any]) -> str | None:
    """Equal for runs that can share; None for one that can share with nobody."""
    return None if reason(config) else digest(asked(config), 16)


def reason(config: Mapping[str, Any]) -> str | None:
    """Why a run goes alone, whatever the others are."""
    told = [part_of(node) for _, node in nodes(config["teacher"], "teacher")]
    teacher = told[0] if told else None
    if teacher is None or attribute(teacher, "provides") == frozenset():
        return "teacher: there is none whose passes could be shared"
    if any(part is not None and attribute(part, "changes") is True for part in told):
        return "teacher: it answers each student otherwise"
    if config["teacher"].get("chain"):
        return "teacher.chain: its stages are a run's own"
    if config["rollout"].get("_target_") != AS_WRITTEN:
        return "rollout: the text of each run is its own"
    if config["trainer"].get("devices", 1) not in (1, "1"):
        return "trainer.devices: a run on several devices has processes of its own"
    return None


def asked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that decide what the teacher is asked and how; what is only shown is left out by ``digest``."""
    student, trainer, data = config["student"], config["trainer"], config["data"]
    kept = {key: value for key, value in config.items() if key not in FREE}
    return kept | {
        "teacher": opened(config["teacher"], config),
        "student": {"path": student["path"]} if "path" in student else {},  # whose tokenizer it may be
        "trainer": {key: value for key, value in trainer.items() if key not in FREE_TRAINER},
        "cut": [data.get("batch_size"), trainer.get("accumulate_grad_batches", 1)],
    }


def told(configs: Sequence[Mapping[str, Any]], together: int) -> Iterator[str]:
    """How the runs of a sweep are put together, a line a group; of those that go apart, which key differs."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for config in configs:
        groups.setdefault(group(config) or f"alone, {reason(config)}", []).append(config)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    first = next((runs[0] for name, runs in ordered if not name.startswith("alone")), None)
    for name, runs in ordered:
        count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
        if name.startswith("alone"):
            yield f"{count} {name}"
            continue
        apart = "" if runs[0] is first or first is None else f"; apart from the first: {_keys(first, runs[0])} differ"
        cut = f", {together} in a process at most" if len(runs) > together else ""
        sharing = "one teacher for all" if len(runs) > 1 else "alone"
        yield f"{count}: {sharing}{cut}{apart}"


def _keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    named = list(changes(asked(one), asked(other)))
    return ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")
