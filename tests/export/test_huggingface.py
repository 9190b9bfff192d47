"""The folder loads with transformers alone."""

import subprocess
import sys

import pytest
import torch

from distill.export.export import Bound
from distill.export.huggingface import HuggingFace
from distill.export.torch_runner import TorchRunner

ANYTHING = Bound(kl=1e9, agreement=0.0, bits_per_byte=1e9)
ALONE = """
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "distill":
            raise ImportError("this package is not here")

sys.meta_path.insert(0, Refusal())
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = (kind.from_pretrained(sys.argv[1]) for kind in (AutoModelForCausalLM, AutoTokenizer))
ids = tokenizer("The quick brown", return_tensors="pt").input_ids
print(model.generate(ids, max_new_tokens=6, do_sample=False)[0].tolist())
"""


def test_loads_and_writes_the_same_where_this_package_is_not(sharp, tmp_path):
    student = sharp()
    HuggingFace(ANYTHING).write(student, tmp_path)
    told = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    ids = student.tokenizer("The quick brown", return_tensors="pt").input_ids
    own = student.model.generate(ids, max_new_tokens=6, do_sample=False)[0].tolist()
    assert told.stdout.strip().splitlines()[-1] == str(own)


def test_read_back_it_is_the_student_bit_for_bit(sharp, tmp_path):
    student, export = sharp(), HuggingFace(ANYTHING)
    export.write(student, tmp_path)
    ids = [5, 9, 200, 31]
    own = TorchRunner(student.model, 300).read(ids)
    assert (export.open(tmp_path, student).runner.read(ids) == own).all()


def test_bfloat16_is_half_the_size_and_leaves_the_student_as_it_was(sharp, tmp_path):
    student = sharp()
    for export in (HuggingFace(ANYTHING), HuggingFace(ANYTHING, "bfloat16")):
        (tmp_path / export.label).mkdir()
        export.write(student, tmp_path / export.label)
    sizes = [(tmp_path / one / "model.safetensors").stat().st_size for one in ("huggingface", "huggingface-bfloat16")]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.05)
    assert student.model.dtype == torch.float32


def test_a_runner_reads_in_pieces_what_it_reads_at_once(sharp):
    runner = TorchRunner(sharp().model, 300)
    ids = [5, 9, 200, 31, 7]
    whole = runner.read(ids)
    runner.restart()
    runner.read(ids[:2])
    pieces = [runner.read(ids[2:4], last=True), runner.read(ids[4:])]
    assert abs(pieces[0][0] - whole[3]).max() < 1e-4
    assert abs(pieces[1][0] - whole[4]).max() < 1e-4
