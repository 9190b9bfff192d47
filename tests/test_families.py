"""Every family answers through one function: what goes into its head, and the head."""

import pytest
import torch

from distill.families import family_of, named_family
from distill.folders import load_model
from distill.models import answer, check_head, evaluating, head, shape
from distill.types import Request
from tests import families

NAMES = sorted(families.KINDS)


@pytest.mark.parametrize("name", NAMES)
def test_the_head_of_every_family_is_found(name):
    model = families.model(name)
    check_head(model)
    assert named_family(model) == families.KINDS[name][0]


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_is_the_models_own_logits_at_the_positions(name):
    model, batch = families.model(name), families.batch(name)
    with torch.no_grad(), evaluating(model):
        logits = model(**batch.inputs).logits
        outputs = answer(model, batch.inputs, batch.positions)
        found = outputs.head.logits(outputs.hidden)
    rows = batch.owners if logits.dim() == 2 else batch.positions
    torch.testing.assert_close(found, logits.flatten(0, -2)[rows], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_known_without_weights(name):
    config = families.config(name, layers=3)
    model = families.model(name, layers=3)
    told = shape(config, families.KINDS[name][0])
    assert told == shape(model)
    assert (told.layers, told.width, told.heads) == (3, 16, 2)
    assert told.vocabulary == head(model).vocabulary


@pytest.mark.parametrize("name", NAMES)
def test_layers_and_attentions_are_the_decoders_where_there_is_one(name):
    model, batch = families.model(name, layers=3), families.batch(name)
    model.set_attn_implementation("eager")
    with evaluating(model):
        outputs = answer(model, batch.inputs, batch.positions, Request(layers=True, attentions=True))
    assert len(outputs.layers) == 4
    assert {state.shape for state in outputs.layers} == {(batch.tokens, 16)}
    assert len(outputs.attentions) == 3
    total = outputs.attentions[0].sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_reaches_head_and_body(name):
    model, batch = families.model(name), families.batch(name)
    outputs = answer(model, batch.inputs, batch.positions)
    outputs.head.logits(outputs.hidden).square().sum().backward()
    reached = [one for one, parameter in model.named_parameters() if parameter.grad is not None]
    assert len(reached) > len(list(model.parameters())) // 2
    assert outputs.head.weight.grad is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_says_what_it_was_saved_as(name, tmp_path, tokenizer):
    model = families.model(name)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path))
    assert type(loaded) is type(model)
    assert family_of(loaded.config) == families.KINDS[name][0]
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(model.parameters(), loaded.parameters(), strict=True))
