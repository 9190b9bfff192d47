"""Students that hear or see are written and re-checked as those that only read are."""

import pytest
import torch

from distill.evaluation.subject import Subject
from distill.export.export import Bound, write_facts
from distill.export.huggingface import HuggingFace
from distill.export.recheck import AGREEMENT, KL, Recheck
from distill.export.torch_runner import TorchRunner
from distill.models import answer
from tests import families

TIGHT = Bound(kl=1e-6, agreement=0.999, bits_per_byte=1e-6)
QUICK = {"memory": False, "rounds": 1, "prompt_tokens": 3, "new_tokens": 2}
HEARING = ["bart", "marian", "t5", "whisper", "vision_encoder_decoder", "llava"]


def subject(name: str, tokenizer) -> Subject:
    model = families.model(name).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "embed_positions" not in key:  # Marian's are made anew, not saved
                parameter.mul_(3.0)
    return Subject("student", model, tokenizer, 300, step=3)


@pytest.mark.parametrize("name", HEARING)
def test_a_runner_says_what_the_model_says_token_by_token(name, tokenizer):
    student, batch = subject(name, tokenizer), families.batch(name)
    with torch.no_grad():
        told = answer(student.model, batch.inputs, batch.positions)
    runner = TorchRunner(student.model, 300)
    own = "decoder_input_ids" if "decoder_input_ids" in batch.inputs else "input_ids"
    heard = {k: v[:1].numpy() for k, v in batch.inputs.items() if k != own and (k, own) != ("attention_mask", own)}
    heard = {k: v for k, v in heard.items() if own == "decoder_input_ids" or k != "attention_mask"}
    ids = batch.inputs[own][0].tolist()
    runner.restart()
    runner.hear(heard)
    first = runner.read(ids[:5])
    rest = runner.read(ids[5:])
    expected = told.head.logits(told.hidden).detach()
    places = [int(p) for p in batch.positions if p < families.WIDTH]
    found = torch.cat([torch.from_numpy(first), torch.from_numpy(rest)])[places]
    assert torch.allclose(found, expected[: len(places)], atol=1e-4)


@pytest.mark.parametrize("name", HEARING)
def test_a_folder_of_any_family_is_the_student(name, tokenizer, tmp_path):
    student, export = subject(name, tokenizer), HuggingFace(TIGHT)
    export.check(student)
    write_facts(export, "file", export.write(student, tmp_path), student, tmp_path)
    found = Recheck(**QUICK).check(export, tmp_path, "file", student, [families.batch(name)])
    told = {row.metric: row.value for row in found.file}
    assert told[AGREEMENT] == 1.0
    assert told[KL] == pytest.approx(0.0, abs=1e-7)
    assert told["decode_speedup_to_student"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["marian", "whisper", "t5", "bart", "vision_encoder_decoder"])
def test_an_encoder_decoder_is_two_onnx_graphs_that_say_the_same(name, tokenizer, tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript is in the extra onnx")
    from distill.export.onnx import Onnx

    student, export = subject(name, tokenizer), Onnx(Bound(kl=1e-5, agreement=0.999, bits_per_byte=1e-5))
    export.check(student)
    write_facts(export, "file", export.write(student, tmp_path), student, tmp_path)
    assert {file.name for file in tmp_path.glob("*.onnx")} == {"encoder.onnx", "model.onnx"}
    found = Recheck(**QUICK).check(export, tmp_path, "file", student, [families.batch(name)])
    assert {row.metric: row.value for row in found.file}[AGREEMENT] == 1.0


def test_no_graph_is_promised_of_a_decoder_that_sees(tokenizer):
    pytest.importorskip("onnxscript", reason="onnxscript is in the extra onnx")
    from distill.errors import BadInput
    from distill.export.onnx import Onnx

    with pytest.raises(BadInput, match="no ONNX graph is written"):
        Onnx(TIGHT).check(subject("llava", tokenizer))
