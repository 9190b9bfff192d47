"""Tokenizers of every kind that differ in how a document begins and ends, and one cache folder for all."""

from collections.abc import Callable

import pytest

TEXTS = [
    "Whoever distils a large model into a small one wants to know what it cost and what it bought.",
    "The teacher reads the text once; the student reads what the teacher would have said about every token of it.",
    "A control learns from the same batches without a teacher, for as many steps, or for as much computation.",
] * 3


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Shared, so that the documentation inside Python is gathered once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def bpe() -> Callable:
    """``bpe(begin, end, padding, adds, specials, size, texts)`` -> a byte-level BPE with these marks."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    def make(begin=None, end=None, padding=None, adds=False, specials=(), size=300, texts=None, template=None):
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        marks = list(dict.fromkeys(mark for mark in (begin, end, padding, *specials) if mark))
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=marks,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(texts or TEXTS, trainer)
        if adds:
            places = [(begin, backend.token_to_id(begin))]
            backend.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=places)
        made = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=begin, eos_token=end, pad_token=padding)
        made.chat_template = template
        return made

    return make


MARKS = {
    "one for all": {"begin": "<|e|>", "end": "<|e|>", "padding": "<|e|>"},
    "padding is the end": {"begin": "<s>", "end": "</s>", "padding": "</s>"},
    "three, begin added": {"begin": "<s>", "end": "</s>", "padding": "<pad>", "adds": True},
    "three, begin not added": {"begin": "<s>", "end": "</s>", "padding": "<pad>"},
    "no begin": {"end": "</s>", "padding": "</s>"},
    "no padding": {"begin": "<|e|>", "end": "<|e|>"},
    "end only, padding apart": {"end": "</s>", "padding": "<pad>"},
    "no marks": {},
}


@pytest.fixture(params=MARKS)
def marked(request, bpe):
    """Each kind of tokenizer in turn."""
    return bpe(**MARKS[request.param])
