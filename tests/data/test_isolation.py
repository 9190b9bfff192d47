"""A packed row equals its documents alone, on real models; a model for which it does not is told."""

from dataclasses import replace

import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    OPTConfig,
    OPTForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from distill.data.collate import Collate
from distill.data.encode import Marks, encode
from distill.data.isolation import check_isolation, leak
from distill.data.packing import cut, lay, pack
from distill.errors import BadInput

MARKS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
SIZES = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 128, "head_dim": 16}


def gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=2, n_positions=128, **MARKS))


def qwen3():
    return Qwen3ForCausalLM(Qwen3Config(**SIZES, **HEADS, **MARKS))


def gemma3():
    return Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, **HEADS, **MARKS, sliding_window=8))


def opt():
    sizes = {"hidden_size": 32, "ffn_dim": 64, "word_embed_proj_dim": 32, "num_hidden_layers": 2}
    return OPTForCausalLM(
        OPTConfig(vocab_size=300, **sizes, num_attention_heads=2, max_position_embeddings=128, **MARKS)
    )


def bloom():
    return BloomForCausalLM(BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=2, **MARKS))


APART = {"gpt2": gpt2, "qwen3": qwen3, "gemma3": gemma3}
TOGETHER = {"opt": opt, "bloom": bloom}
"""Falcon too, before transformers 5.24."""


def made(make) -> torch.nn.Module:
    torch.manual_seed(0)
    return make().eval()


@pytest.fixture(params=["llama", *APART])
def model(request, tiny_llama):
    return made(tiny_llama) if request.param == "llama" else made(APART[request.param])


@pytest.fixture(params=["llama", *APART, *TOGETHER])
def any_model(request, tiny_llama):
    return made(tiny_llama) if request.param == "llama" else made((APART | TOGETHER)[request.param])


TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "naïve",
    "A student learns.",
    "日本語 is here, and more of it",
] * 2


def pieces_of(tokenizer, width):
    return cut(encode(TEXTS, tokenizer, Marks.of(tokenizer)), width)


def alone(model, pieces) -> dict[str, torch.Tensor]:
    """The logits of each sample by itself, without padding: what every batch must reproduce."""
    found = {}
    with torch.no_grad():
        for index in range(len(pieces)):
            piece = pieces[index]
            ids = torch.from_numpy(piece.inputs.astype("int64"))[None]
            found[piece.hash] = model(input_ids=ids, use_cache=False).logits[0]
    return found


def worst(model, rows, collate, expected) -> float:
    """Of all samples of all rows: the largest difference from the sample alone."""
    batch = collate([rows[i] for i in range(len(rows))])
    with torch.no_grad():
        logits = model(**batch.inputs, use_cache=False).logits.flatten(0, 1)[batch.positions]
    differences = [
        (logits[batch.owners == i] - expected[sample]).abs().max().item() for i, sample in enumerate(batch.samples)
    ]
    return max(differences)


@pytest.mark.parametrize("width", [24, 64])
def test_a_packed_row_equals_its_documents_alone(model, tokenizer, width):
    pieces = pieces_of(tokenizer, width)
    rows = pack(pieces, width)
    assert len(rows) < len(pieces)
    assert worst(model, rows, Collate(width, 0, True), alone(model, pieces)) < 1e-5


def test_an_attention_mask_would_undo_it(model, tokenizer):
    """The trap that ``Collate`` avoids, shown to be one: so the test above can fail."""
    pieces = pieces_of(tokenizer, 64)

    def masked(rows):
        batch = Collate(64, 0, True)(rows)
        ones = torch.ones_like(batch.inputs["input_ids"])
        return replace(batch, inputs={**batch.inputs, "attention_mask": ones})

    assert worst(model, pack(pieces, 64), masked, alone(model, pieces)) > 1e-3


def test_an_unpacked_row_equals_its_document_alone_on_every_architecture(any_model, tokenizer):
    pieces = pieces_of(tokenizer, 24)
    assert worst(any_model, lay(pieces), Collate(24, 0, False), alone(any_model, pieces)) < 1e-5


def test_the_padding_behind_the_last_piece_reaches_nobody(model, tokenizer):
    pieces = pieces_of(tokenizer, 40)
    rows = pack(pieces, 40)
    batches = [Collate(40, padding, True)([rows[i] for i in range(len(rows))]) for padding in (0, 299)]
    with torch.no_grad():
        first, second = (
            model(**batch.inputs, use_cache=False).logits.flatten(0, 1)[batch.positions] for batch in batches
        )
    assert not torch.equal(batches[0].inputs["input_ids"], batches[1].inputs["input_ids"])
    assert torch.equal(first, second)


# --------------------------------------------------------------------------------------------------------- the probe


def test_a_model_that_keeps_pieces_apart_passes(model):
    assert leak(model, 300) < 1e-4
    check_isolation(model, 300, "teacher.path")


def test_it_passes_in_bfloat16_too(model):
    check_isolation(model.to(torch.bfloat16), 300, "teacher.path")


@pytest.mark.parametrize("make", TOGETHER.values(), ids=TOGETHER)
def test_a_model_that_does_not_is_refused_with_the_remedy(make):
    with pytest.raises(BadInput, match=r"teacher\.path: .*would see each other; data\.packing=false"):
        check_isolation(made(make), 300, "teacher.path")


def test_a_model_that_knows_no_position_ids_is_refused():
    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, input_ids):
            raise AssertionError("never reached")

    assert leak(Plain(), 300) == float("inf")


def test_the_probe_leaves_every_module_in_its_mode(tiny_llama):
    model = tiny_llama(dropout=0.5).train()
    model.model.layers[0].eval()
    before = [module.training for module in model.modules()]
    assert leak(model, 300) < 1e-4
    assert [module.training for module in model.modules()] == before
