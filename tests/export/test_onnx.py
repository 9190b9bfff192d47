"""The ONNX file writes what the student writes, token by token, and runs where torch and this package are not."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from distill.export.export import Bound, write_facts
from distill.export.onnx import SCRIPT, Onnx
from distill.export.onnx_int4 import OnnxInt4
from distill.export.onnx_runner import OnnxRunner
from distill.export.recheck import KL, Recheck
from distill.export.torch_runner import TorchRunner
from distill.students.low_rank_head import halves

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason=f"{package} is in the extra onnx")

ANYTHING = Bound(kl=1e9, agreement=0.0, bits_per_byte=1e9)
WITHOUT = """
import runpy, sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "distill"):
            raise ImportError(name)

sys.meta_path.insert(0, Refusal())
script, *sys.argv[1:] = sys.argv[1:]
runpy.run_path(script)
"""


def made(tmp_path_factory, student, weights):
    """The export in a folder, as the verb makes it."""
    export, folder = Onnx(ANYTHING, weights), tmp_path_factory.mktemp(weights)
    export.check(student)
    write_facts(export, "student-onnx", export.write(student, folder), student, folder)
    return export, folder, student


@pytest.fixture(scope="module")
def whole(sharp, tmp_path_factory):
    return made(tmp_path_factory, sharp(), "float32")


@pytest.fixture(scope="module")
def small(sharp, tmp_path_factory):
    """int8, of a model with 20 surplus rows."""
    return made(tmp_path_factory, sharp(vocabulary=320), "int8")


def greedy(runner, ids, length):
    runner.restart()
    found, given = [], ids
    for _ in range(length):
        given = [int(runner.read(given, last=True)[-1].argmax())]
        found += given
    return found


def test_greedy_writing_with_the_cache_is_torch_generate(whole):
    export, folder, student = whole
    ids = student.tokenizer("A student learns").input_ids
    student.model.generation_config.eos_token_id = None
    own = student.model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)[0, len(ids) :].tolist()
    assert greedy(export.open(folder, student).runner, ids, 24) == own


def test_every_way_of_reading_gives_the_same_logits(whole):
    export, folder, student = whole
    runner, ids = export.open(folder, student).runner, [7, 80, 3, 250, 11, 42]
    own = TorchRunner(student.model, 300).read(ids)
    assert abs(runner.read(ids) - own).max() < 1e-3
    for cut in range(1, 6):
        runner.restart()
        first, second = runner.read(ids[:cut]), runner.read(ids[cut:])
        assert abs(first - own[:cut]).max() < 1e-3
        assert abs(second - own[cut:]).max() < 1e-3


def test_a_tied_matrix_lies_in_the_file_once(whole):
    _, folder, student = whole
    weights = 4 * sum(parameter.numel() for parameter in student.model.parameters())
    assert (folder / "model.onnx").stat().st_size < weights + 40_000


def test_nothing_of_this_machine_lies_in_the_file(whole):
    _, folder, _ = whole
    told = (folder / "model.onnx").read_bytes()
    assert b".py" not in told
    assert b"site-packages" not in told


def test_the_script_runs_without_torch_and_says_what_the_student_says(whole):
    export, folder, student = whole
    words = [sys.executable, "-c", WITHOUT, str(folder / SCRIPT), "The quick brown", "8"]
    told = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, encoding="utf-8")
    found = greedy(export.open(folder, student).runner, student.tokenizer("The quick brown").input_ids, 8)
    if 0 in found:  # the end of a text
        found = found[: found.index(0)]
    assert told.stdout.strip("\n") == student.tokenizer.decode(found).strip("\n")
    assert len((folder / SCRIPT).read_text().splitlines()) <= 22


def test_int8_is_small_and_within_its_bound(small, whole, held_out):
    export, folder, student = small
    size = (folder / "model.onnx").stat().st_size
    assert size < 0.7 * (whole[1] / "model.onnx").stat().st_size
    found = Recheck(memory=False, rounds=1, new_tokens=2).check(export, folder, "file", student, held_out)
    (divergence,) = [row.value for row in found.file if row.metric == KL]
    assert 0 < divergence < 0.2  # a random model with peaked answers is far harder on 8 bits than a trained one


def test_a_large_activation_spoils_its_own_block_only(sharp, tmp_path, held_out):
    """The same function in float32: what one row of a matrix gains, the column that it meets loses."""
    student = sharp(layers=1)
    mlp = student.model.base_model.layers[0].mlp
    mlp.down_proj.weight.data *= 100  # so that it has a say
    mlp.up_proj.weight.data[0] *= 3e4
    mlp.down_proj.weight.data[:, 0] /= 3e4
    found = {}
    for block in (None, 16):
        export, folder = Onnx(ANYTHING, "int8", block=block), tmp_path / str(block)
        folder.mkdir()
        write_facts(export, "student-onnx", export.write(student, folder), student, folder)
        rows = Recheck(memory=False, rounds=1, new_tokens=2).check(export, folder, "file", student, held_out).file
        (found[block],) = [row.value for row in rows if row.metric == KL]
    assert found[16] < found[None] / 3


def test_ids_that_mean_nothing_cannot_be_written(small):
    export, folder, student = small
    assert export.open(folder, student).runner.read([1, 2, 3]).shape == (3, 300)


def test_a_head_of_low_rank_is_written_as_two_thin_matrices(sharp, tmp_path):
    """Exact for a head that has no higher rank, and smaller."""
    student = sharp(tied=False, layers=1)
    output = student.model.get_output_embeddings()
    tall, wide = halves(output.weight, 4)
    output.weight.data = tall @ wide
    sizes, told = [], []
    for rank in (None, 4):
        folder = tmp_path / str(rank)
        folder.mkdir()
        export = Onnx(ANYTHING, head_rank=rank)
        write_facts(export, "file", export.write(student, folder), student, folder)
        sizes.append((folder / "model.onnx").stat().st_size)
        told.append(OnnxRunner(folder).read([5, 6, 7]))
    assert np.allclose(told[0], told[1], atol=1e-3)
    assert sizes[0] - sizes[1] > 4 * (300 * 32 - 4 * (300 + 32)) * 0.8
    assert Onnx(ANYTHING, head_rank=4).label == "onnx-head4"


@pytest.mark.skipif(find_spec("onnxruntime_genai") is None, reason="needs the genai extra")
@pytest.mark.slow
def test_four_bits_run_in_onnx_runtime_as_they_were_read(sharp, tmp_path):
    """By our runner and by the script beside the file; close to the student, with and without the cache."""
    student = sharp(width=64, vocabulary=320)
    export = OnnxInt4(ANYTHING)
    export.check(student)
    write_facts(export, "file", export.write(student, tmp_path), student, tmp_path)
    runner = OnnxRunner(tmp_path)
    whole = runner.read([5, 6, 7, 8])
    assert whole.shape == (4, 300)
    runner.restart()
    runner.read([5, 6])
    assert np.allclose(runner.read([7, 8]), whole[2:], atol=1e-3)
    own = TorchRunner(student.model, 300).read([5, 6, 7, 8])
    assert np.corrcoef(own.ravel(), whole.ravel())[0, 1] > 0.97
    script = [sys.executable, str(tmp_path / "generate.py"), "The quick", "5"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
