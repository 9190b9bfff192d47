"""Pruning by importance: what is kept is what was there, what nobody uses goes first."""

from collections.abc import Iterator

import pytest
import torch
from transformers import AutoModelForCausalLM

from distill.errors import BadInput
from distill.students.depth_prune import DepthPrune, kept, without
from distill.students.importance import best, measured
from distill.students.width_prune import WidthPrune
from distill.types import Batch


def text() -> Iterator[Batch]:
    """Endless batches of 2 rows of 12 tokens."""
    for seed in range(100):
        ids = torch.randint(1, 300, (2, 12), generator=torch.Generator().manual_seed(seed))
        place = torch.arange(24).view(2, 12)[:, :-1].flatten()
        owners = torch.arange(2).repeat_interleave(11)
        inputs = {"input_ids": ids}
        yield Batch(inputs, inputs, place, place, ids[:, 1:].flatten(), owners, ("a", "b"), bytes=44)


@pytest.fixture
def folder(tmp_path, tokenizer):
    """``folder(dead=…)``: a saved model of which some units do nothing."""
    from transformers import LlamaConfig, LlamaForCausalLM

    def make(dead: bool = False, layers: int = 3) -> str:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=300,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=None,
        )
        model = LlamaForCausalLM(config)
        with torch.no_grad():
            for number, layer in enumerate(model.model.layers) if dead else ():
                layer.mlp.up_proj.weight[number : number + 20] = 0  # 20 neurons that are silent
                layer.self_attn.v_proj.weight[8:] = 0  # the second group of heads
        model.save_pretrained(tmp_path / "whole")
        tokenizer.save_pretrained(tmp_path / "whole")
        return str(tmp_path / "whole")

    return make


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(next(text()).inputs["input_ids"]).logits


def pruned(folder: str, tokenizer, **sizes):
    recipe = WidthPrune(folder, **sizes)
    recipe.see(text)
    return recipe.build(tokenizer)


def test_cutting_nothing_is_the_model_itself(folder, tokenizer):
    place = folder()
    assert torch.equal(logits(pruned(place, tokenizer)), logits(AutoModelForCausalLM.from_pretrained(place)))


def test_units_that_do_nothing_are_cut_without_a_trace(folder, tokenizer):
    place = folder(dead=True)
    student = pruned(place, tokenizer, intermediate=28, kv_heads=1)
    assert student.config.num_attention_heads == 2
    assert torch.allclose(logits(student), logits(AutoModelForCausalLM.from_pretrained(place)), atol=1e-5)


def test_the_shape_told_is_the_shape_made(folder, tokenizer):
    place = folder()
    sizes = {"width": 24, "intermediate": 40, "kv_heads": 1}
    told = WidthPrune(place, **sizes).shape(300)
    student = pruned(place, tokenizer, **sizes)
    assert told.parameters == student.num_parameters()
    assert (told.width, told.heads) == (24, 2)
    assert torch.isfinite(logits(student)).all()


def test_channels_are_one_choice_for_the_whole_model(folder, tokenizer):
    place = folder()
    whole = AutoModelForCausalLM.from_pretrained(place)
    student = pruned(place, tokenizer, width=24)
    channels = best(measured(whole, [batch for batch, _ in zip(text(), range(8), strict=False)]).channels, 24)
    assert torch.equal(student.model.embed_tokens.weight, whole.model.embed_tokens.weight[:, channels])
    for own, other in zip(student.model.layers, whole.model.layers, strict=True):
        assert torch.equal(own.mlp.gate_proj.weight, other.mlp.gate_proj.weight[:, channels])
        assert torch.equal(own.self_attn.o_proj.weight, other.self_attn.o_proj.weight[channels])


def test_by_chance_and_from_nothing_are_the_same_size_and_other_models(folder, tokenizer):
    place = folder()
    found = {}
    for importance in ("activation", "random", "none"):
        torch.manual_seed(0)
        found[importance] = pruned(place, tokenizer, width=16, importance=importance)
    assert len({model.num_parameters() for model in found.values()}) == 1
    assert len({round(float(logits(model).sum()), 3) for model in found.values()}) == 3
    again = pruned(place, tokenizer, width=16, importance="random")
    assert torch.equal(logits(again), logits(found["random"]))


def test_more_than_there_is_and_other_families_are_refused(folder, tokenizer, tmp_path):
    with pytest.raises(BadInput, match="the model has 32"):
        WidthPrune(folder(), width=64).shape(300)
    with pytest.raises(BadInput, match="no training text"):
        WidthPrune(folder(), width=16).build(tokenizer)
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=16, n_layer=1, n_head=2)).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    with pytest.raises(BadInput, match="only if it is one of llama"):
        WidthPrune(str(tmp_path / "gpt2"), width=8).shape(300)


def test_importance_is_the_mean_over_places_and_the_square_over_samples(folder):
    model = AutoModelForCausalLM.from_pretrained(folder())
    batches = [batch for batch, _ in zip(text(), range(2), strict=False)]
    seen = []
    handle = model.model.layers[1].mlp.down_proj.register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
    with torch.no_grad():
        for batch in batches:
            model(**batch.inputs)
    handle.remove()
    expected = torch.cat(seen).abs().mean(1).square().sum(0).sqrt()
    assert torch.allclose(measured(model, batches).neurons[1], expected, rtol=1e-5)


def test_the_block_that_is_missed_least_is_cut(folder, tokenizer):
    model = AutoModelForCausalLM.from_pretrained(folder(layers=5))
    with torch.no_grad():
        for layer in model.model.layers[2:4]:  # they add nothing
            layer.mlp.down_proj.weight.zero_()
            layer.self_attn.o_proj.weight.zero_()
    batches = [next(text())]
    whole = without(model, set(), batches)
    assert without(model, {2, 3}, batches) == pytest.approx(whole, rel=1e-6)
    assert len(model.model.layers) == model.config.num_hidden_layers == 5
    assert without(model, {0}, batches) != pytest.approx(whole, rel=1e-6)


def test_depth_is_cut_to_what_was_asked(folder, tokenizer):
    place = folder(layers=5)
    recipe = DepthPrune(place, layers=3)
    recipe.see(text)
    student = recipe.build(tokenizer)
    layers = kept(AutoModelForCausalLM.from_pretrained(place), 3, [b for b, _ in zip(text(), range(2), strict=False)])
    whole = AutoModelForCausalLM.from_pretrained(place)
    assert recipe.shape(300).layers == len(student.model.layers) == 3
    for own, number in zip(student.model.layers, layers, strict=True):
        assert torch.equal(own.mlp.up_proj.weight, whole.model.layers[number].mlp.up_proj.weight)
    with pytest.raises(BadInput, match="the model has 5"):
        DepthPrune(place, layers=6).shape(300)
