"""An exported student behind HTTP says what its file says: ``distill serve FOLDER`` of an ONNX export."""

import pytest
import torch

from distill.cli.arguments import parse
from distill.cli.serve import opened
from distill.evaluation.subject import Subject
from distill.export.export import Bound, write_facts
from distill.export.onnx import Onnx
from tests.serving.test_server import PROMPT, asked

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason=f"{package} is in the extra onnx")


@pytest.fixture(scope="module")
def exported(tiny_llama, tokenizer, tmp_path_factory):
    """The folder as the verb ``export`` writes it, and the model that it was made of."""
    student, folder = Subject("student", tiny_llama(width=16).eval(), tokenizer, 300), tmp_path_factory.mktemp("onnx")
    export = Onnx(Bound(kl=1e9, agreement=0.0, bits_per_byte=1e9), "float32")
    export.check(student)
    write_facts(export, "student-onnx", export.write(student, folder), student, folder)
    return folder, student.model


def test_prompt_logprobs_of_a_served_file_are_the_models(exported, monkeypatch, tmp_path):
    folder, model = exported
    monkeypatch.chdir(tmp_path)
    with torch.no_grad():
        log_p = model(input_ids=torch.tensor([PROMPT])).logits[0].double().log_softmax(-1)
    with opened(parse(["serve", str(folder), "port=0", "max_logprobs=5"])) as server, server.running():
        body = {"model": server.engine.name, "prompt": PROMPT, "max_tokens": 1, "prompt_logprobs": 3}
        status, told = asked(server, **body)
    assert status == 200, told
    entries = told["choices"][0]["prompt_logprobs"]
    assert entries[0] is None
    for place, entry in enumerate(entries[1:], start=1):
        for token, said in entry.items():
            assert said["logprob"] == pytest.approx(log_p[place - 1, int(token)].item(), abs=1e-3)
        assert str(PROMPT[place]) in entry
