"""Two ranks that share a batch learn what one rank learns from all of it, though their token counts differ."""

import subprocess
import sys

import pytest
from safetensors.torch import load_file

from distill.__main__ import main
from distill.rows import METRICS, read


def test_two_ranks_are_one(tiny, laboratory):
    words = [word for word in tiny if not word.startswith(("measure", "data.batch_size"))]
    words += ["measure=none", "control=none", "data.packing=false", "trainer.accelerator=cpu"]
    words += ["+weight@objective.losses.ce.weight=balanced", "objective.losses.ce.weight.every=1"]
    assert main(["train", *words, f"paths.run={laboratory / 'for-its-teacher'}"]) == 0
    teacher = next((laboratory / "cache" / "nursery").glob("*/teacher"))
    words = [word for word in words if not word.startswith("teacher.")] + ["teacher=live", f"teacher.path={teacher}"]
    one, two = laboratory / "one-rank", laboratory / "two-ranks"
    assert main(["train", *words, "data.batch_size=4", f"paths.run={one}"]) == 0
    command = [sys.executable, "-m", "distill", "train", *words, "data.batch_size=2", "trainer.devices=2"]
    told = subprocess.run([*command, f"paths.run={two}"], capture_output=True, text=True, timeout=200, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    weights = [load_file(folder / "student" / "model.safetensors") for folder in (one, two)]
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() <= 2e-6, name
    for metric in ("loss/kd", "weight/ce"):  # a balanced weight follows gradients summed over both
        told = [[row.value for row in read(folder / METRICS) if row.metric == metric] for folder in (one, two)]
        assert told[0]
        assert told[1] == pytest.approx(told[0], rel=1e-5)
