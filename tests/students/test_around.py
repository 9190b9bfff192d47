"""Students that are trained as something else than they are kept as: the folder answers as the training did."""

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM

from distill.errors import BadInput
from distill.students.fake_quant import FakeQuant
from distill.students.from_scratch import FromScratch
from distill.students.lora import Lora
from distill.students.low_rank_head import LowRankHead, halves
from distill.students.plain import plain

IDS = torch.arange(24).view(2, 12)


@pytest.fixture
def folder(tmp_path, tiny_llama, tokenizer) -> str:
    tiny_llama(layers=2, width=32).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return str(tmp_path / "base")


def made(kind: str, folder: str):
    small = FromScratch(layers=2, width=32, heads=2)
    return {
        "lora": lambda: Lora(folder, rank=4),
        "int8": lambda: FakeQuant(small),
        "q4_0": lambda: FakeQuant(small, layout="q4_0", head=True),
        "low_rank": lambda: LowRankHead(small, rank=5),
        "both": lambda: FakeQuant(LowRankHead(small, rank=5), layout="q8_0"),
    }[kind]()


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


@pytest.mark.parametrize("kind", ["lora", "int8", "q4_0", "low_rank", "both"])
def test_a_trained_students_folder_answers_as_it_was_trained(kind, folder, tokenizer, tmp_path):
    torch.manual_seed(0)
    student = made(kind, folder).build(tokenizer)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        student(IDS, labels=IDS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    trained = logits(student)
    again = made(kind, folder).build(tokenizer)
    again.load_state_dict(student.state_dict())  # as a checkpoint is
    assert torch.equal(logits(again), trained)
    plain(student).save_pretrained(tmp_path / "done")
    kept = AutoModelForCausalLM.from_pretrained(tmp_path / "done")
    assert torch.allclose(logits(kept), trained, atol=2e-5)
    assert not [name for name in kept.state_dict() if "lora" in name or "parametrizations" in name]


def test_an_ordinary_student_is_plain_already(tiny_llama):
    model = tiny_llama()
    before = copy.deepcopy(model.state_dict())
    assert plain(model) is model
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_adapters_begin_at_the_base_and_alone_are_trained(folder, tokenizer):
    base = AutoModelForCausalLM.from_pretrained(folder)
    student = Lora(folder, rank=4).build(tokenizer)
    assert torch.equal(logits(student), logits(base))
    assert any(not parameter.requires_grad for parameter in student.parameters())
    assert all("lora_" in name for name, parameter in student.named_parameters() if parameter.requires_grad)
    assert not [name for name, parameter in student.named_parameters() if "lm_head" in name and parameter.requires_grad]
    assert Lora(folder).shape(300).parameters == base.num_parameters()


def test_adapters_go_where_they_are_told(folder, tokenizer):
    student = Lora(folder, modules=["q_proj"]).build(tokenizer)
    assert {name.split(".lora_")[0].split(".")[-1] for name, _ in student.named_parameters() if "lora_" in name} == {
        "q_proj"
    }
    with pytest.raises(BadInput, match="no layer can have an adapter"):
        Lora(folder, modules=["nothing_proj"]).build(tokenizer)


def test_a_rounded_student_answers_with_rounded_weights(tokenizer):
    torch.manual_seed(0)
    whole = FromScratch(layers=2, width=32, heads=2)
    student = FakeQuant(whole, layout="q4_0").build(tokenizer)
    layer = student.model.layers[0].mlp.up_proj
    assert len((layer.weight.detach()[0, :32] / layer.weight.detach()[0, :32].abs().max()).unique()) <= 16
    assert not torch.equal(layer.weight, layer.parametrizations.weight.original)


def test_a_head_of_low_rank_is_the_best_of_that_rank(tokenizer):
    torch.manual_seed(0)
    student = LowRankHead(FromScratch(layers=1, width=32, heads=2), rank=5).build(tokenizer)
    assert torch.linalg.matrix_rank(student.get_output_embeddings().weight) == 5
    assert student.get_output_embeddings().weight is not student.get_input_embeddings().weight
    weight = torch.randn(40, 12)
    tall, wide = halves(weight, 4)
    values = torch.linalg.svdvals(weight)
    assert torch.dist(weight, tall @ wide) == pytest.approx(values[4:].square().sum().sqrt().item(), rel=1e-4)


def test_a_rank_beyond_the_heads_own_is_refused(tokenizer):
    with pytest.raises(BadInput, match="at most 32"):
        LowRankHead(FromScratch(layers=1, width=32, heads=2), rank=33).build(tokenizer)
