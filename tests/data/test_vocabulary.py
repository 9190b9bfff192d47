"""Ten ways in which two vocabularies meet: the right class, or the right refusal, from tokenizer and config alone."""

import copy
import json
import time

import pytest
from tokenizers import AddedToken, Tokenizer
from transformers import LlamaConfig, LlavaConfig, PreTrainedTokenizerFast, ViTConfig

from distill.data.vocabulary import shared_vocabulary, vocabulary_size
from distill.errors import BadInput

END = {"begin": "<|e|>", "end": "<|e|>", "padding": "<|e|>"}


@pytest.fixture
def plain(bpe):
    return bpe(**END)


def edited(tokenizer, change) -> PreTrainedTokenizerFast:
    """The same tokenizer with its serialised form changed."""
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    change(told)
    backend = Tokenizer.from_str(json.dumps(told))
    roles = {"bos_token": tokenizer.bos_token, "eos_token": tokenizer.eos_token, "pad_token": tokenizer.pad_token}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)


def test_equal(plain):
    found = shared_vocabulary(plain, copy.deepcopy(plain), 300, 300)
    assert (found.kind, found.size, found.teacher_surplus, found.student_surplus) == ("equal", 300, 0, 0)
    assert not found.notes


@pytest.mark.parametrize("sizes", [(320, 300), (300, 384), (320, 384), (320, 320)])
def test_padded(plain, sizes):
    found = shared_vocabulary(plain, plain, *sizes)
    assert (found.kind, found.size) == ("padded", 300)
    assert (found.teacher_surplus, found.student_surplus) == (sizes[0] - 300, sizes[1] - 300)


def test_same_size_other_ids(plain):
    def rotate(told):
        vocabulary = told["model"]["vocab"]
        moved = {token: 1 + (index + 40) % 299 if index else 0 for token, index in vocabulary.items()}
        told["model"]["vocab"] = moved

    with pytest.raises(BadInput, match="another family of tokenizers: 299 of 300 ids mean other strings"):
        shared_vocabulary(plain, edited(plain, rotate), 300, 300)


def test_two_swapped_ids_are_found_and_named(plain):
    def swap(told):
        vocabulary = told["model"]["vocab"]
        names = {index: token for token, index in vocabulary.items()}
        vocabulary[names[70]], vocabulary[names[71]] = 71, 70

    with pytest.raises(BadInput, match=r"other ids: 2 of 300 ids mean other strings \(first 70: "):
        shared_vocabulary(plain, edited(plain, swap), 300, 300)


def test_superset(bpe, plain):
    larger = bpe(**END, size=310)
    for pair in ((plain, larger), (larger, plain)):
        with pytest.raises(BadInput, match="a superset: 10 ids are known to one side only, first 300"):
            shared_vocabulary(*pair, 310, 310)


def test_added_specials(plain):
    added = copy.deepcopy(plain)
    added.add_tokens([AddedToken("<|tool|>", special=True), AddedToken("<|call|>", special=True)])
    found = shared_vocabulary(plain, added, 300, 302)
    assert (found.kind, found.size, found.student_surplus) == ("added_specials", 300, 2)
    found = shared_vocabulary(added, plain, 320, 300)
    assert (found.kind, found.size, found.teacher_surplus) == ("added_specials", 300, 20)


def test_an_added_token_that_text_can_spell_is_a_superset(plain):
    added = copy.deepcopy(plain)
    added.add_tokens(["<think>"])
    with pytest.raises(BadInput, match="a superset: 1 ids"):
        shared_vocabulary(plain, added, 300, 301)


def test_another_family(bpe, plain):
    other = bpe(**END, texts=["wholly different words zebra quartz jukebox vexing fjord"] * 4, size=420)
    with pytest.raises(BadInput, match="alignment=byte_spans, or a student with the teacher's tokenizer"):
        shared_vocabulary(plain, other, 300, 420)


def test_same_ids_other_merges(plain):
    def reorder(told):
        told["model"]["merges"].reverse()

    with pytest.raises(BadInput, match="a text is cut into other tokens"):
        shared_vocabulary(plain, edited(plain, reorder), 300, 300)


def test_another_chat_template(bpe, plain):
    other = bpe(**END, template="{{ messages }}")
    found = shared_vocabulary(plain, other, 300, 300)
    assert found.kind == "equal"
    assert "chat templates" in found.notes[0]
    with pytest.raises(BadInput, match="other chat templates"):
        shared_vocabulary(plain, other, 300, 300, templated=True)


def test_another_end(bpe):
    specials = ["<|a|>", "<|b|>"]
    one, other = bpe(end="<|a|>", specials=specials), bpe(end="<|a|>", specials=specials)
    other.eos_token = "<|b|>"
    with pytest.raises(BadInput, match=r"documents end with '<\|a\|>' for the teacher and '<\|b\|>' for the student"):
        shared_vocabulary(one, other, 300, 300)


def test_another_beginning(bpe):
    one = bpe(begin="<s>", end="</s>", adds=True)
    other = bpe(begin="<s>", end="</s>")
    with pytest.raises(BadInput, match="documents begin with '<s>' for the teacher and no mark for the student"):
        shared_vocabulary(one, other, 300, 300)


def test_padding_alone_does_not_matter(bpe):
    one, other = bpe(end="</s>", specials=["<pad>"]), bpe(end="</s>", specials=["<pad>"])
    other.pad_token = "<pad>"
    assert shared_vocabulary(one, other, 300, 300).kind == "equal"


def test_an_embedding_smaller_than_its_tokenizer(plain):
    with pytest.raises(BadInput, match="student: its tokenizer has ids up to 299, its embedding 256 rows"):
        shared_vocabulary(plain, plain, 300, 256)


def test_size_of_a_config():
    assert vocabulary_size(LlamaConfig(vocab_size=123)) == 123
    assert vocabulary_size(LlavaConfig(text_config=LlamaConfig(vocab_size=321))) == 321
    with pytest.raises(BadInput, match="no language model"):
        vocabulary_size(ViTConfig())


def test_a_large_vocabulary_takes_less_than_five_seconds(plain):
    def grow(told):
        told["model"]["vocab"] |= {f"word{i}": i for i in range(300, 152_000)}

    large = edited(plain, grow)
    start = time.perf_counter()
    assert shared_vocabulary(large, large, 152_064, 151_936 + 64).size == 152_000
    assert time.perf_counter() - start < 5
