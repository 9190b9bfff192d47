"""Three byte-level tokenizers that cut the same text differently, one of them into bytes."""

from collections.abc import Callable

import pytest

ENGLISH = ["The teacher reads the text once, the student reads what the teacher would have said.", "théâtre, naïve"] * 3
CODE = ["def teach(batch):\n    return batch.text\n", "the students said: tea, read, text; 日本語"] * 3


@pytest.fixture(scope="session")
def bpe() -> Callable:
    """``bpe(size, texts, begin="<|e|>", end="<|e|>")`` -> a byte-level BPE."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    def make(size=300, texts=ENGLISH, begin="<|e|>", end="<|e|>", adds=False, split=True):
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(dict.fromkeys(mark for mark in (begin, end) if mark)),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        if adds:
            places = [(begin, backend.token_to_id(begin))]
            backend.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=places)
        return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=begin, eos_token=end, pad_token=end)

    return make


@pytest.fixture(scope="session")
def english(bpe):
    return bpe(300, ENGLISH)


@pytest.fixture(scope="session")
def code(bpe):
    return bpe(290, CODE, begin="<s>", end="</s>", adds=True, split=False)


@pytest.fixture(scope="session")
def letters(bpe):
    """A token for each byte."""
    return bpe(257, ENGLISH)
