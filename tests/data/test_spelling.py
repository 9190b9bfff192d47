"""What tokens spell is the text, byte for byte; where it cannot be known, no place is invented."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from distill.data.encode import Marks, encode
from distill.data.spelling import END_OF_DOCUMENT, NOWHERE, byte_ends, spelling


def offsets_of(tokenizer, text):
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return np.asarray(found["offset_mapping"]).reshape(-1, 2)


@pytest.fixture(scope="module")
def pieces():
    """Like SentencePiece: ▁ for spaces, single bytes for characters that it does not know."""
    known = [("<unk>", 0.0), ("▁", -2.0), ("▁the", -2.0), ("tea", -2.5), ("t", -3.0), ("e", -3.0), ("a", -3.0)]
    known += [(f"<0x{byte:02X}>", -8.0) for byte in range(256)]
    backend = Tokenizer(models.Unigram(known, unk_id=0, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")


@settings(max_examples=50, deadline=None)
@given(text=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1))
def test_byte_level_tokens_spell_any_text(tokenizer, text):
    ids = encode([text], tokenizer, Marks(None, None, 0)).ids.tolist()
    spelt = spelling(tokenizer)
    assert b"".join(spelt[index] for index in ids) == text.encode()
    ends = byte_ends(text, ids, spelt, np.zeros((len(ids), 2), np.int64))
    assert ends.tolist() == np.cumsum([len(spelt[index]) for index in ids]).tolist()


def test_sentence_pieces_spell_the_text_behind_a_space(pieces):
    text = "the tea é"
    ids = encode([text], pieces, Marks(None, None, 0)).ids.tolist()
    spelt = spelling(pieces)
    assert b"".join(spelt[index] for index in ids) == b" " + text.encode()
    ends = byte_ends(text, ids, spelt, offsets_of(pieces, text))
    assert ends[-1] == len(text.encode())
    assert ends[0] == 3  # ▁the is the first word, whose space is not in the text


def test_special_tokens_spell_nothing_but_the_end_of_a_document(tokenizer):
    assert spelling(tokenizer)[0] is None
    assert spelling(tokenizer, end=0)[0] == END_OF_DOCUMENT


def test_a_text_that_was_changed_has_places_by_its_characters():
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        ["ab"], trainers.BpeTrainer(vocab_size=257, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    text = "ae\u0301b"  # becomes é, two bytes where the text has three
    ids = encode([text], tokenizer, Marks(None, None, 0)).ids.tolist()
    ends = byte_ends(text, ids, spelling(tokenizer), offsets_of(tokenizer, text))
    assert ends.tolist() == [1, NOWHERE, NOWHERE, 5]  # the accent is in no token's characters
