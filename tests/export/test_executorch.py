"""What cannot be a program is refused in one line; what can be one writes what the student writes, token by token."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from distill.__main__ import main
from distill.errors import BadInput
from distill.evaluation.subject import Subject
from distill.export import executorch
from distill.export.executorch import FILE, SCRIPT, Executorch
from distill.export.executorch_runner import ExecutorchRunner
from distill.export.export import Bound, write_facts
from distill.export.recheck import AGREEMENT, KL, Recheck
from distill.export.torch_runner import TorchRunner
from tests import families

OWN = Bound(kl=1e-5, agreement=0.999, bits_per_byte=1e-4)
"""Of ``conf/export/executorch.yaml``."""
INSTALLED = find_spec("executorch") is not None


@pytest.mark.parametrize(("name", "remedy"), [("marian", "export=onnx"), ("llava", "export=huggingface")])
def test_a_model_that_is_no_decoder_of_text_is_refused_with_what_fits_it(name, remedy, tokenizer):
    with pytest.raises(BadInput, match=f"no ExecuTorch program is written.*{remedy}") as refusal:
        Executorch(OWN).check(Subject("student", families.model(name), tokenizer, 300, step=3))
    assert "\n" not in str(refusal.value)


def test_without_the_package_the_refusal_says_how_to_get_it(sharp, monkeypatch):
    monkeypatch.setattr(executorch, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"needs executorch.*pip install 'distill-lab\[executorch\]'") as refusal:
        Executorch(OWN).check(sharp(layers=1))
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(INSTALLED, reason="executorch is installed")
def test_a_file_without_the_package_says_how_to_get_it(tmp_path):
    with pytest.raises(BadInput, match=r"needs executorch to run.*pip install 'distill-lab\[executorch\]'"):
        ExecutorchRunner(tmp_path)


def test_a_program_is_not_measured_a_second_time(tmp_path, capsys):
    facts = {"format": "executorch", "label": "executorch", "subject": "student-executorch", "file": FILE}
    (tmp_path / "export.json").write_text(json.dumps(facts | {"vocabulary": 300, "positions": 64}))
    (tmp_path / FILE).write_bytes(b"")
    assert main(["evaluate", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "measured when it is exported; read its metrics.jsonl" in told
    assert told.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="executorch is in the extra executorch, which dev has not")
@pytest.mark.filterwarnings("ignore")  # its imports warn of what torch will change
def test_the_program_is_the_student_with_and_without_the_cache(sharp, held_out, tmp_path):
    """Within its own bound, in its own script too, and no longer a text than memory was planned for."""
    student, export = sharp(vocabulary=320), Executorch(OWN, positions=24)
    export.check(student)
    write_facts(export, "file", export.write(student, tmp_path), student, tmp_path)
    runner, ids = export.open(tmp_path, student).runner, [7, 80, 3, 250, 11, 42]
    own = TorchRunner(student.model, 300).read(ids)
    for cut in (6, 1, 4):
        runner.restart()
        first = runner.read(ids[:cut])
        assert abs(first - own[:cut]).max() < 1e-3
        assert cut == 6 or abs(runner.read(ids[cut:]) - own[cut:]).max() < 1e-3
    found = Recheck(memory=False, rounds=1, prompt_tokens=8, new_tokens=2).check(
        export, tmp_path, "file", student, held_out
    )
    told = {row.metric: row.value for row in found.file}
    assert told[AGREEMENT] == 1.0
    assert told[KL] == pytest.approx(0.0, abs=1e-6)
    assert told["disk_bytes"] == (tmp_path / FILE).stat().st_size
    runner.restart()
    with pytest.raises(BadInput, match=r"at most 24 tokens.*export\.positions"):
        runner.read([1] * 25)
    words = [sys.executable, str(tmp_path / SCRIPT), "The quick", "4"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stderr
