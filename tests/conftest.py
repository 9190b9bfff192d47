"""Tiny real models and a tiny real tokenizer, made in milliseconds: no test downloads anything."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable

import pytest

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "A student learns from a teacher what the data alone would not say.",
    "Naïve café: bytes are not characters, and 日本語 is three tokens or nine.",
    "def distil(teacher, student):\n    return student\n",
]


@pytest.fixture(scope="session")
def tokenizer():
    """A byte-level BPE of 300 tokens with ``<|endoftext|>`` (id 0) as beginning, end and padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    end = "<|endoftext|>"
    bpe.train_from_iterator(
        SENTENCES * 4,
        trainers.BpeTrainer(vocab_size=300, special_tokens=[end], initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=end, eos_token=end, pad_token=end)


@pytest.fixture(scope="session")
def tiny_llama() -> Callable:
    """``tiny_llama(vocabulary=300, layers=2, width=16, tied=True, dropout=0.0, seed=0)`` -> LlamaForCausalLM."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def make(vocabulary=300, layers=2, width=16, tied=True, dropout=0.0, seed=0):
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=128,
            tie_word_embeddings=tied,
            attention_dropout=dropout,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
        )
        return LlamaForCausalLM(config)

    return make
