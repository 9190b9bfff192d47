"""The head and the answer of a model are the model: whatever it does to its logits is known or refused."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, PreTrainedModel

from distill.errors import BadInput
from distill.models import answer, check_head, head, shape
from distill.types import Head, Request

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}
KINDS = {
    "llama": {},
    "gpt2": {},
    "qwen3": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "final_logit_softcapping": 2.0, "query_pre_attn_scalar": 8},
    "cohere": {"logit_scale": 0.1},
    "granite": {"logits_scaling": 4.0},
    "gpt_neox": {},
    "phi": {},
    "opt": {"ffn_dim": 24},
    "nanochat": {},
}


def make(kind: str, **more: object) -> PreTrainedModel:
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SIZES | KINDS.get(kind, {}) | more)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(config))
    for parameter in model.parameters():  # far from zero, so that a cap or a scale shows
        parameter.data.normal_(0, 0.4)
    return model.eval()


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


IDS = (torch.arange(24).view(2, 12) * 7 + 1) % 40
POSITIONS = torch.tensor([0, 3, 11, 12, 20, 23])


def test_head_times_state_is_the_models_logits(kind):
    model = make(kind)
    check_head(model)
    outputs = answer(model, {"input_ids": IDS}, POSITIONS)
    expected = model(IDS).logits.flatten(0, 1)[POSITIONS]
    torch.testing.assert_close(outputs.head.logits(outputs.hidden), expected, rtol=1e-5, atol=1e-5)


def test_tricks_are_read_from_the_config():
    assert head(make("gemma2")).softcap == 2.0
    assert head(make("cohere")).scale == pytest.approx(0.1)
    assert head(make("granite")).scale == 0.25
    assert head(make("phi")).bias is not None


@pytest.mark.parametrize("stranger", ["hyperclovax", "bert"])
def test_unknown_logit_trick_is_refused(stranger):
    more = {"logits_scaling": 4.0} if stranger == "hyperclovax" else {"is_decoder": True}
    with pytest.raises(BadInput, match=f"model {stranger}"):
        check_head(make(stranger, **more))


def test_check_leaves_modes_and_random_numbers_alone(tiny_llama):
    model = tiny_llama(dropout=0.5).train()
    model.model.layers[0].eval()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    check_head(model)
    assert modes == [module.training for module in model.modules()]
    assert torch.equal(state, torch.get_rng_state())


def test_gradient_reaches_a_tied_head_once_by_each_way(tiny_llama):
    model = tiny_llama(tied=True)
    outputs = answer(model, {"input_ids": IDS}, POSITIONS)
    outputs.head.logits(outputs.hidden).square().sum().backward()
    found = model.get_input_embeddings().weight.grad.clone()
    model.zero_grad()
    model(IDS).logits.flatten(0, 1)[POSITIONS].square().sum().backward()
    torch.testing.assert_close(found, model.get_input_embeddings().weight.grad)


def test_surplus_rows_are_cut_and_get_no_gradient(tiny_llama):
    model = tiny_llama(vocabulary=300, tied=False)
    outputs = answer(model, {"input_ids": IDS}, POSITIONS, vocabulary=290)
    assert outputs.head.logits(outputs.hidden).shape == (6, 290)
    outputs.head.logits(outputs.hidden).logsumexp(-1).sum().backward()
    gradient = model.lm_head.weight.grad
    assert gradient[:290].abs().sum() > 0
    assert torch.equal(gradient[290:], torch.zeros(10, 16))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "opt"])  # it makes no mask of them
def test_documents_of_a_packed_row_do_not_see_each_other(kind):
    model = make(kind)
    short, long = IDS[:1, :5], IDS[1:, :9]
    packed = {
        "input_ids": torch.cat([short, long], 1),
        "position_ids": torch.cat([torch.arange(5), torch.arange(9)])[None],
    }
    found = answer(model, packed, torch.arange(14)).hidden
    alone = [answer(model, {"input_ids": ids}, torch.arange(ids.shape[1])).hidden for ids in (short, long)]
    torch.testing.assert_close(found, torch.cat(alone), rtol=1e-5, atol=1e-5)


def test_nothing_is_computed_unasked(tiny_llama):
    outputs = answer(tiny_llama(), {"input_ids": IDS}, POSITIONS)
    assert outputs.layers == outputs.attentions == ()
    assert outputs.modules == {}


def test_layers_attentions_and_modules_on_request(kind):
    model = make(kind, attn_implementation="eager")
    path = next(name for name, _ in model.named_modules() if name.endswith(("mlp", "fc1")))
    request = Request(layers=True, attentions=True, modules=(path,))
    outputs = answer(model, {"input_ids": IDS}, POSITIONS, request)
    assert [tuple(state.shape) for state in outputs.layers] == [(6, 16)] * 4
    torch.testing.assert_close(outputs.layers[-1], outputs.hidden)
    assert [tuple(a.shape) for a in outputs.attentions] == [(6, 2, 12)] * 3
    torch.testing.assert_close(outputs.attentions[0].sum(-1), torch.ones(6, 2))
    assert outputs.attentions[0][0, :, 1:].abs().max() == 0  # position 0 sees itself only
    assert set(outputs.modules) == {path}


def test_no_watch_is_left_behind(tiny_llama):
    model = tiny_llama()
    with pytest.raises(IndexError):
        answer(model, {"input_ids": IDS + 300}, POSITIONS, Request(modules=("model.layers.0", "model.norm")))
    assert not model.model.layers[0]._forward_hooks
    assert not model.model.norm._forward_hooks


def test_attentions_of_sdpa_are_refused_with_the_remedy(tiny_llama):
    with pytest.raises(BadInput, match="eager"):
        answer(tiny_llama(), {"input_ids": IDS}, POSITIONS, Request(attentions=True))


def test_unknown_module_is_refused(tiny_llama):
    with pytest.raises(BadInput, match=r"model\.layer\.0"):
        answer(tiny_llama(), {"input_ids": IDS}, POSITIONS, Request(modules=("model.layer.0",)))


def test_shape_of_a_config_is_the_shape_of_its_model(kind):
    model = make(kind)
    assert shape(model.config) == shape(model)


def test_a_tied_matrix_is_counted_once_and_multiplied_once(tiny_llama):
    tied, untied = shape(tiny_llama(tied=True)), shape(tiny_llama(tied=False))
    assert untied.parameters - tied.parameters == 300 * 16
    assert tied.embedding_parameters == untied.embedding_parameters == 300 * 16
    assert tied.flops_per_token == untied.flops_per_token


def test_shape_of_a_config_makes_no_weights():
    wide = GPT2Config(n_embd=2**14, n_layer=96, n_head=128)
    assert shape(wide).parameters > 3e11


def test_config_that_makes_no_model_is_refused():
    with pytest.raises(BadInput):
        shape(GPT2Config(n_embd=10, n_head=3))


@pytest.mark.parametrize(("kind", "key"), [("llama", "attention_dropout"), ("gpt2", "attn_pdrop")])
def test_attentions_with_dropout_on_them_are_refused_in_training_only(kind, key):
    model = make(kind, attn_implementation="eager", **{key: 0.5})
    answer(model, {"input_ids": IDS}, POSITIONS, Request(attentions=True))
    with pytest.raises(BadInput, match=f"{key}=0.5"):
        answer(model.train(), {"input_ids": IDS}, POSITIONS, Request(attentions=True))


def test_a_head_that_has_no_surplus_is_not_cut():
    """Its gradient reaches the parameter itself; that of a slice would be made in a second matrix of its size."""
    made = Head(torch.zeros(5, 3, requires_grad=True))
    assert made.cut(5) is made
    assert made.cut(4).weight.grad_fn is not None
