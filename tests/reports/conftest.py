"""Run folders and sweep folders as a run would write them, with numbers that look like a small distillation."""

import json
import math
import random
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from distill.rows import METRICS, Row, append

SUBJECTS = ("teacher", "student", "control", "control_compute")
SIZES = {"teacher": 705_408, "student": 163_392, "control": 163_392, "control_compute": 163_392}
PROMPTS = (
    "The with statement",
    "Return a list of the names in the current scope.\n\nIf",
    "Exceptions are raised when",
)
BIBTEX = """@article{hinton2015distilling,
  title  = {Distilling the Knowledge in a Neural Network},
  author = {Hinton, Geoffrey and Vinyals, Oriol and Dean, Jeff},
  year   = {2015},
  eprint = {1503.02531}
}"""


def build_run(
    folder: Path,
    seed: int = 0,
    temperature: float = 2.0,
    weight: float = 0.9,
    teacher: str = "nursery",
    share: float = 0.06,
    subjects: tuple[str, ...] = SUBJECTS,
    steps: int = 300,
    every: int = 2,
    state: str = "done",
    intervals: bool = True,
) -> Path:
    """A whole run folder; the better settings are temperature 2, weight 0.9 and the larger teacher."""
    chance = random.Random(f"{seed} {temperature} {weight} {teacher} {share}")
    folder.mkdir(parents=True)
    levels = _levels(seed, temperature, weight, teacher, share)
    rows: list[Row] = []
    for subject in subjects:
        length = {"teacher": 800, "control_compute": 3 * steps}.get(subject, steps)
        rows += _curves(subject, levels[subject], seed, length, every, chance)
        rows += _measured(subject, levels[subject], seed, length, chance, intervals)
    append(folder / METRICS, rows)
    config = {
        "seed": seed,
        "data": {"share": share, "sequence_length": 64, "seed": seed},
        "teacher": {"_target_": "distill.teachers.live.Live", "recipe": {"name": teacher, "steps": 800}},
        "objective": {"temperature": temperature, "losses": {"kd": {"weight": weight}, "ce": {"weight": 1 - weight}}},
        "paths": {"run": str(folder)},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "provenance.json").write_text(json.dumps(_provenance(seed, temperature, weight, teacher, share)))
    (folder / "status.json").write_text(json.dumps({"state": state, "exit": 0}))
    with (folder / "samples.jsonl").open("w") as file:
        for prompt, subject in product(PROMPTS, subjects):
            file.write(json.dumps({"subject": subject, "prompt": prompt, "text": _babble(chance)}) + "\n")
    return folder


def build_sweep(
    folder: Path,
    seeds: tuple[int, ...] = (0, 1, 2),
    temperatures: tuple[float, ...] = (1.0, 2.0, 4.0),
    weights: tuple[float, ...] = (0.5, 0.9),
    teachers: tuple[str, ...] = ("nursery_small", "nursery"),
    shares: tuple[float, ...] = (0.06,),
    **more: Any,
) -> Path:
    """A sweep folder with a run for every combination."""
    keys = {
        "objective.temperature": temperatures,
        "objective.losses.kd.weight": weights,
        "teacher": teachers,
        "data.share": shares,
        "seed": seeds,
    }
    swept = {key: [str(v) for v in values] for key, values in keys.items() if len(values) > 1}
    names = []
    (folder / "jobs").mkdir(parents=True)
    for i, values in enumerate(product(*keys.values())):
        t, w, name, share, seed = values
        names.append(f"run-{i:03d}")
        job = {key: str(value) for key, value in zip(keys, values, strict=True) if key in swept}
        (folder / "jobs" / f"{names[-1]}.json").write_text(json.dumps({"name": names[-1], "swept": job}))
        build_run(folder / "runs" / names[-1], seed, t, w, name, share, **more)
    plan = {"name": folder.name, "command": ["distill", "train", "-m", "…"], "swept": swept, "runs": names}
    (folder / "sweep.json").write_text(json.dumps(plan))
    return folder


def fail(run: Path, cause: str = "killed by signal 9 (out of memory?)") -> None:
    """Leave of a run what a dead one leaves."""
    for name in (METRICS, "samples.jsonl"):
        (run / name).unlink()
    (run / "status.json").write_text(
        json.dumps({"state": "failed", "cause": cause, "log": f"../../logs/{run.name}.txt"})
    )


def _levels(seed: int, temperature: float, weight: float, teacher: str, share: float) -> dict[str, float]:
    """Nats a token that each subject ends at; a teacher is one in every run, a control in every run of its seed."""
    data = 0.55 * math.log(1 / max(share, 1e-3), 10)
    best = 3.62 if teacher == "nursery" else 3.95
    student = best + 0.38 + 0.12 * math.log2(temperature / 2) ** 2 + 0.5 * (0.9 - weight) + 0.25 * data
    control = 4.05 + 1.25 * data

    def noise(*of: object) -> float:
        return random.Random(repr(of)).gauss(0, 0.035)

    return {
        "teacher": best,
        "student": student + noise(seed, temperature, weight, teacher, share),
        "control": control + noise(seed, share),
        "control_compute": control - 0.08 + noise(seed, share, "compute"),
    }


def _curves(subject: str, level: float, seed: int, length: int, every: int, chance: random.Random) -> list[Row]:
    rows = []
    tell = lambda metric, value, unit, split, step: rows.append(  # noqa: E731
        Row(subject, metric, value, unit, split, step, seed)
    )
    turn = {"control": 0.45, "control_compute": 0.25}.get(subject)
    for step in range(0, length + 1, every):
        fallen = math.exp(-8 * step / length)
        ce = (level - 0.25) + (6.93 - level) * fallen + chance.gauss(0, 0.06)
        ce -= 1.2 * step / length if turn else 0.0
        kd = 0.42 + 2.8 * fallen + chance.gauss(0, 0.03)
        total = 0.1 * ce + 0.9 * kd if subject == "student" else ce
        tell("loss/ce", ce, "nats/token", "train", step)
        if subject == "student":
            tell("loss/kd", kd, "nats/token", "train", step)
        tell("loss/total", total, "nats/token", "train", step)
        tell("learning_rate", 4e-3 * min(1, step / 20) * (1 - 0.9 * step / length), "1", "train", step)
        tell("gradient_norm", math.exp(1.2 * fallen + chance.gauss(-0.7, 0.2)), "nats/token", "train", step)
        tell("tokens_per_second", 21_000 + chance.gauss(0, 900), "tokens/s", "train", step)
    for step in range(0, length + 1, 25):
        over = 2.6 * max(0.0, step / length - turn) ** 1.5 if turn else 0.0
        at_best = turn * length if turn else length
        value = level + (6.93 - level) * math.exp(-8 * step / at_best) + over
        tell("nats_per_token", value, "nats/token", "validation", step)
    return rows


def _measured(subject: str, level: float, seed: int, step: int, chance: random.Random, intervals: bool) -> list[Row]:
    teacher = subject == "teacher"
    gap = level - 3.62
    half = 0.021 if intervals else math.nan
    nats = level + 0.03
    told = [
        ("bits_per_byte", nats / math.log(2) / 2.61, "bits/byte", half / math.log(2) / 2.61),
        ("nats_per_token", nats, "nats/token", half),
        ("perplexity", math.exp(nats), "1", math.nan),
        ("top1_agreement", 1.0 if teacher else max(0.1, 0.71 - 0.16 * gap), "fraction", math.nan),
        ("kl_to_teacher", 0.0 if teacher else 0.06 + 0.82 * gap, "nats/token", math.nan),
        ("accuracy_top1", 0.33 - 0.05 * gap, "fraction", math.nan),
        ("ece", 0.014 + 0.03 * gap, "fraction", math.nan),
    ]
    rows = []
    for metric, value, unit, spread in told:
        low, high = (None, None) if math.isnan(spread) else (value - spread, value + spread)
        rows.append(Row(subject, metric, value, unit, "test", step, seed, 48_211, low, high))
    shares = [math.exp(-0.35 * i) for i in range(10)]
    for i, share in enumerate(shares):
        confidence = (i + 0.5 + chance.uniform(-0.1, 0.1)) / 10
        accuracy = min(1.0, max(0.0, confidence - 0.05 * gap * (i / 4) + chance.gauss(0, 0.012)))
        for part, value in (("confidence", confidence), ("accuracy", accuracy), ("share", share / sum(shares))):
            rows.append(Row(subject, f"reliability/{i:02d}/{part}", value, "fraction", "test", step, seed, 48_211))
    size = SIZES[subject]
    speed = 1.0 if teacher else 2.7
    for metric, value, unit in (
        ("parameters", size, "count"),
        ("embedding_parameters", 1024 * (128 if teacher else 64), "count"),
        ("disk_bytes", 4 * size + 8_112, "bytes"),
        ("prefill_tokens_per_second", 31_400 * speed + chance.gauss(0, 600), "tokens/s"),
        ("decode_tokens_per_second", 412 * speed + chance.gauss(0, 9), "tokens/s"),
        ("peak_memory", 388 if teacher else 341, "MiB"),
    ):
        rows.append(Row(subject, metric, float(value), unit, "none", step, seed))
    return rows


def _provenance(seed: int, temperature: float, weight: float, teacher: str, share: float) -> dict[str, object]:
    words = [
        f"objective.temperature={temperature}",
        f"objective.losses.kd.weight={weight}",
        f"teacher={teacher}",
        f"data.share={share}",
        f"seed={seed}",
    ]
    splits = {
        name: {"documents": round(part * 2113 * share), "tokens": round(part * 402_551 * share), "documents_cut": 31}
        for name, part in (("train", 0.9), ("validation", 0.05))
    }
    return {
        "command": ["distill", "train", *words],
        "directory": "/home/someone/work",
        "identity": "1a2b3c4d",
        "seed": seed,
        "began": "2026-06-01T10:00:00+00:00",
        "ended": "2026-06-01T10:03:41+00:00",
        "exit": 0,
        "reason": "finished",
        "source": {"commit": "5ae76bc1f0d2", "dirty": None},
        "versions": {"distill": "0.1.0", "python": "3.11.9", "torch": "2.13.0+cpu", "transformers": "5.16.1"},
        "machine": {"processor": "Xeon", "cores": 2, "threads": 1, "memory_mib": 7782, "accelerators": []},
        "hashes": {"data": "9f2c" * 16, "tokenizer": "03ab" * 16, "teacher": "77de" * 16},
        "data": {"rows": 2254, "splits": splits, "dropped": {"duplicate": 137, "empty": 4}, "skipped_steps": 0},
        "formula": f"{weight:g} · T² KL(p‖q) + {1 - weight:.1g} · CE,   T = {temperature:g}",
        "citations": [BIBTEX],
        "differences": {"objective.temperature": [1.0, temperature], "data.share": [1.0, share]},
    }


def _babble(chance: random.Random) -> str:
    words = (
        "the",
        "object",
        "of",
        "a",
        "module",
        "is",
        "returned",
        "when",
        "called",
        "raises",
        "an",
        "exception",
        "if",
    )
    return " ".join(chance.choice(words) for _ in range(28)) + "."


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    return build_run


@pytest.fixture(scope="session")
def make_sweep() -> Callable[..., Path]:
    return build_sweep


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished run with all four subjects; read it, do not write into it."""
    return build_run(tmp_path_factory.mktemp("runs") / "quickstart-1a2b3c4d")


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 seeds × 3 temperatures × 2 weights × 2 teachers; one run failed, one was killed halfway."""
    folder = build_sweep(tmp_path_factory.mktemp("sweeps") / "grid-9f8e7d6c", steps=60, every=20)
    fail(folder / "runs" / "run-004")
    return folder
