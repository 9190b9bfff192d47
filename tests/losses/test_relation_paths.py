"""Queries, keys and values of any architecture, by the path of the module that makes them."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from distill.errors import BadInput
from distill.losses.states.relation import Relation
from distill.models import answer
from tests.losses.state_scene import PACKED, Pair, batch_of, model

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}
PATHS = {
    "qwen3": "model.layers.{layer}.self_attn.{p}_proj",
    "gemma2": "model.layers.{layer}.self_attn.{p}_proj",
    "phi": "model.layers.{layer}.self_attn.{p}_proj",
    "gpt2": "transformer.h.{layer}.attn.c_attn[{part}]",
    "gpt_neo": "transformer.h.{layer}.attn.attention.{p}_proj",
}
MORE = {"qwen3": {"head_dim": 8}, "gemma2": {"head_dim": 8}, "gpt_neo": {"attention_types": [[["global"], 3]]}}


def made(kind: str) -> PreTrainedModel:
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **SIZES | MORE.get(kind, {}))
    built = AutoModelForCausalLM.from_config(copy.deepcopy(config)).eval().requires_grad_(False)
    for parameter in built.parameters():
        parameter.data.normal_(0, 0.3)
    return built


@pytest.mark.parametrize("kind", PATHS)
def test_a_llama_learns_the_relations_of_another_architecture(kind):
    pair = Pair(model(2, 16, 4, 2, 0), made(kind))
    loss = pair.prepared(Relation(parts=["query", "key", "value"], relation_heads=4, teacher_path=PATHS[kind]))
    assert all(".2." in path for path in loss.teacher_request.modules)
    assert all(".1." in path for path in loss.request.modules)
    value = pair.value(loss, batch_of(PACKED))
    assert value.isfinite().all()
    assert value.sum() > 0


def test_one_module_that_makes_all_three_is_asked_once_and_cut():
    """GPT-2 puts queries, keys and values side by side."""
    twin = Pair(made("gpt2"), made("gpt2"))
    path, batch = PATHS["gpt2"], batch_of(PACKED)
    loss = twin.prepared(Relation(parts=["query", "value"], student_path=path, teacher_path=path, layers=[[0, 1]]))
    assert loss.request.modules == ("transformer.h.0.attn.c_attn",)
    outputs, signal = twin.answers(loss, batch)
    assert signal.outputs is not None
    kept = signal.outputs.modules["transformer.h.1.attn.c_attn"]  # (B, S, 48)
    keys = kept.clone()
    keys[..., 16:32] += 1.0  # nobody looks at keys
    before = loss(outputs, signal, batch)
    signal.outputs.modules["transformer.h.1.attn.c_attn"].copy_(keys)
    assert torch.equal(loss(outputs, signal, batch), before)
    signal.outputs.modules["transformer.h.1.attn.c_attn"][..., :16] *= 3.0
    assert not torch.equal(loss(outputs, signal, batch), before)


def test_a_path_that_leads_nowhere_is_refused_with_names_that_exist():
    pair = Pair(model(2, 16, 4, 2, 0), made("gpt2"))
    loss = pair.prepared(Relation(relation_heads=4))
    with pytest.raises(BadInput, match=r"no such module.*transformer"):
        answer(pair.teacher, batch_of(PACKED).inputs, batch_of(PACKED).positions, loss.teacher_request)


def test_both_ways_sees_the_whole_document():
    pair, batch = Pair.made(), batch_of([(2,)])
    causal, whole = (pair.prepared(Relation(causal=one)) for one in (True, False))
    one, other = pair.value(causal, batch), pair.value(whole, batch)
    torch.testing.assert_close(one[-1], other[-1])  # the last token sees all of it either way
    assert not torch.equal(one[:-1], other[:-1])
