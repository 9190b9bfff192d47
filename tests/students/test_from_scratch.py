"""A student from scratch has the sizes it was asked for and the tokenizer's ids, and depends on the seed alone."""

import pytest
import torch

from distill.errors import BadInput
from distill.models import check_head, shape
from distill.students.from_scratch import FromScratch


@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3"])
def test_sizes_are_those_asked_for(tokenizer, architecture):
    model = FromScratch(3, 24, heads=4, kv_heads=2, intermediate=40, architecture=architecture).build(tokenizer)
    sizes = shape(model)
    assert (sizes.layers, sizes.width, sizes.heads, sizes.vocabulary, sizes.tied) == (3, 24, 4, 300, True)
    assert model.model.layers[0].self_attn.k_proj.out_features == 12
    assert model.model.layers[0].mlp.up_proj.out_features == 40
    assert model.training
    assert model.dtype == torch.float32
    check_head(model)


def test_the_quickstarts_student_has_0_16_million_parameters_and_its_teacher_0_7():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({str(i): i for i in range(1024)}, unk_token="0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words)
    assert round(shape(FromScratch(2, 64, 4).build(tokenizer)).parameters / 1e6, 2) == 0.17
    assert round(shape(FromScratch(3, 128, 4).build(tokenizer)).parameters / 1e6, 2) == 0.73


def test_equal_seeds_make_equal_weights(tokenizer):
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(FromScratch().build(tokenizer).state_dict())
    assert all(torch.equal(made[0][key], made[1][key]) for key in made[0])
    assert not all(torch.equal(made[0][key], made[2][key]) for key in made[0])


def test_end_of_text_that_is_also_padding_learns(tokenizer):
    """With config.pad_token_id set, torch gives the embedding's row of that id no gradient at all."""
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    model = FromScratch(tied=False).build(tokenizer)
    model(torch.tensor([[tokenizer.eos_token_id, 5]])).logits.square().sum().backward()
    assert model.get_input_embeddings().weight.grad[tokenizer.eos_token_id].abs().sum() > 0


@pytest.mark.parametrize(("sizes", "key"), [((2, 65, 4), "width"), ((2, 12, 4), "width"), ((2, 64, 4, 3), "kv_heads")])
def test_sizes_that_do_not_divide_are_refused(sizes, key):
    with pytest.raises(BadInput, match=f"student.{key}"):
        FromScratch(*sizes)


def test_dropout_is_off_in_evaluation(tokenizer):
    model = FromScratch(dropout=0.5).build(tokenizer)
    ids = torch.arange(1, 20)[None]
    assert not torch.equal(model(ids).logits, model(ids).logits)
    model.eval()
    assert torch.equal(model(ids).logits, model(ids).logits)
