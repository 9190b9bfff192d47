"""A live teacher with an adapter, in fewer bits, or kept elsewhere: what it says then, and where it is refused."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from distill.errors import BadInput
from distill.folders import load_causal_lm
from distill.teachers.live import Live
from distill.teachers.offload import bring_back, offload_body
from distill.types import Request
from tests.training.conftest import batch

ROWS = slice(0, 8)
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft's own


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_llama, tokenizer) -> str:
    path = tmp_path_factory.mktemp("base")
    tiny_llama(width=16).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def adapter(folder, tmp_path_factory) -> str:
    """A LoRA adapter that changes something."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    model = get_peft_model(load_causal_lm(folder), LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj", "up_proj"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter += torch.randn_like(parameter)
    path = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(path)
    return str(path)


def logits(teacher: Live) -> torch.Tensor:
    return teacher.teach(batch(0), Request()).chunk(ROWS)[0].clone()


def test_an_adapter_is_merged(folder, adapter):
    """I26: the merged model is base and adapter; without the adapter it is the base."""
    from peft import PeftModel

    wrapped = PeftModel.from_pretrained(load_causal_lm(folder), adapter)
    given = batch(0)
    with torch.no_grad():
        expected = wrapped(input_ids=given.inputs["input_ids"]).logits.flatten(0, 1)[given.positions][ROWS]
        with wrapped.disable_adapter():
            base = wrapped(input_ids=given.inputs["input_ids"]).logits.flatten(0, 1)[given.positions][ROWS]
    torch.testing.assert_close(logits(Live(folder, adapter=adapter)), expected)
    torch.testing.assert_close(logits(Live(folder)), base)
    assert (expected - base).abs().max() > 0.01


def test_an_adapter_makes_another_teacher(folder, adapter):
    assert Live(folder, adapter=adapter).fingerprint != Live(folder).fingerprint


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"peft_type": "IA3"}, "only LoRA"),
        ({"megatron_config": {"a": 1}, "megatron_core": "antigravity"}, "never run"),
    ],
)
def test_an_adapter_that_is_none_of_ours_is_refused(folder, adapter, tmp_path, change, reason):
    told = json.loads(Path(adapter, "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(told | change))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(BadInput, match=reason):
        Live(folder, adapter=str(tmp_path))


def test_an_adapter_without_safe_weights_is_refused(folder, adapter, tmp_path):
    (tmp_path / "adapter_config.json").write_text(Path(adapter, "adapter_config.json").read_text())
    (tmp_path / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(BadInput, match="holds no adapter_model"):
        Live(folder, adapter=str(tmp_path))
    with pytest.raises(BadInput, match="holds no readable"):
        Live(folder, adapter=str(tmp_path / "nowhere"))


def test_an_adapter_of_another_model_is_refused(adapter, tmp_path, tiny_llama, tokenizer):
    tiny_llama(width=24).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="does not fit"):
        logits(Live(str(tmp_path), adapter=adapter))


def test_an_offloaded_body_says_the_same_and_comes_back(folder):
    """The hooks of an accelerator's offload, with the processor in the accelerator's place."""
    teacher = Live(folder)
    expected = logits(teacher)
    offload_body(teacher.model, torch.device("cpu"))
    assert {parameter.device.type for parameter in teacher.model.base_model.parameters()} == {"meta"}
    assert torch.equal(logits(teacher), expected)
    bring_back(teacher.model)
    assert {parameter.device.type for parameter in teacher.model.parameters()} == {"cpu"}
    assert torch.equal(logits(teacher), expected)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
def test_offloading_without_an_accelerator_is_refused(folder):
    with pytest.raises(BadInput, match=r"teacher\.offload.*no accelerator"):
        Live(folder, offload=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_four_bits_without_cuda_are_refused(folder):
    with pytest.raises(BadInput, match=r"teacher\.weights.*CUDA"):
        Live(folder, weights="int4")


@pytest.mark.skipif(find_spec("torchao") is not None, reason="torchao is installed")
def test_eight_bits_without_torchao_are_refused(folder):
    with pytest.raises(BadInput, match=r"torchao, which is not installed; pip install"):
        Live(folder, weights="int8")


@pytest.mark.skipif(find_spec("torchao") is None, reason="torchao (the extra quant) is not installed")
@pytest.mark.filterwarnings("ignore::")
def test_eight_bits_say_nearly_the_same(folder):
    full, rounded = Live(folder), Live(folder, weights="int8")
    assert 0 < (logits(full) - logits(rounded)).abs().max() < 0.05
    assert full.fingerprint != rounded.fingerprint
