"""A cut student is its source with layers missing: nothing else differs, saved or not, with the cache or without."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from distill.cached import given, kept
from distill.errors import BadInput
from distill.folders import load_causal_lm
from distill.models import answer
from distill.students.layer_drop import LayerDrop, decoder_layers
from distill.students.pretrained import Pretrained

SIZES = {
    "vocab_size": 300,
    "hidden_size": 16,
    "num_hidden_layers": 6,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}
KINDS = {
    "llama": {"tie_word_embeddings": False},
    "gpt2": {},
    "qwen3": {"head_dim": 8, "tie_word_embeddings": True},
    "gemma2": {"head_dim": 8, "sliding_window": 4},
    "gpt_neox": {},
    "phi": {},
}
IDS = (torch.arange(40).view(2, 20) * 7 + 1) % 300


@pytest.fixture(params=KINDS)
def folder(request, tokenizer, tmp_path) -> str:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(request.param, **SIZES | KINDS[request.param]))
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.4)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return str(tmp_path)


def without_layers(model, kept):
    """The source with its other layers taken out where they stand; good for one pass without a cache."""
    cut = copy.deepcopy(model)
    path, _ = decoder_layers(cut)
    parent, _, name = path.rpartition(".")
    layers = cut.get_submodule(path)
    setattr(cut.get_submodule(parent), name, torch.nn.ModuleList([layers[i] for i in kept]))
    cut.config.num_hidden_layers = len(kept)
    if getattr(cut.config, "layer_types", None):
        cut.config.layer_types = [cut.config.layer_types[i] for i in kept]
    return cut


@pytest.mark.parametrize(("how", "kept"), [({"every": 3}, [0, 3]), ({"layers": [1, 4, 5]}, [1, 4, 5])])
def test_student_is_its_source_without_the_other_layers(folder, tokenizer, how, kept):
    source = load_causal_lm(folder)
    student = LayerDrop(folder, **how).build(tokenizer).eval()
    assert student.config.num_hidden_layers == len(kept)
    positions = torch.arange(40)
    found = answer(student, {"input_ids": IDS}, positions).hidden
    expected = answer(without_layers(source, kept), {"input_ids": IDS}, positions).hidden
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_all_layers_make_the_source_again(folder, tokenizer):
    source, student = load_causal_lm(folder), LayerDrop(folder, every=1).build(tokenizer).eval()
    assert torch.equal(source(IDS).logits, student(IDS).logits)


def test_cache_and_saved_folder_agree_with_the_student(folder, tokenizer, tmp_path):
    student = LayerDrop(folder, every=2).build(tokenizer).eval()
    whole = student(IDS).logits
    first = student(IDS[:, :12], use_cache=True)
    rest = student(IDS[:, 12:], **given(student, kept(first)), use_cache=True)
    torch.testing.assert_close(rest.logits, whole[:, 12:], rtol=1e-4, atol=1e-4)
    student.save_pretrained(tmp_path / "saved")
    assert torch.equal(load_causal_lm(str(tmp_path / "saved"))(IDS).logits, whole)


def test_weights_are_copies_and_ties_hold(folder, tokenizer):
    student = LayerDrop(folder, every=2).build(tokenizer)
    assert student.training
    tied = student.config.tie_word_embeddings
    assert (student.get_output_embeddings().weight is student.get_input_embeddings().weight) == tied
    student.get_input_embeddings().weight.data.zero_()
    assert load_causal_lm(folder).get_input_embeddings().weight.abs().sum() > 0


@pytest.mark.parametrize(
    "how", [{}, {"every": 2, "layers": [0]}, {"layers": []}, {"layers": [2, 1]}, {"layers": [1, 1]}, {"layers": [-1]}]
)
def test_contradictions_are_refused_before_anything_is_loaded(how):
    with pytest.raises(BadInput, match="student"):
        LayerDrop("no/such-model", **how)


def test_layer_that_is_not_there_is_refused(tokenizer, tmp_path, tiny_llama):
    tiny_llama().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="0 to 1"):
        LayerDrop(str(tmp_path), layers=[0, 2]).build(tokenizer)


def test_pretrained_student_starts_as_its_folder_in_training_mode(tokenizer, tmp_path, tiny_llama):
    source = tiny_llama()
    source.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    student = Pretrained(str(tmp_path)).build(tokenizer)
    assert student.training
    assert all(torch.equal(a, b) for a, b in zip(student.parameters(), source.parameters(), strict=True))
