import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.encode import Encoded, Marks, bytes_of_tokens, encode

TEXTS = ["naïve café", "日本語 🙂 text", "a", "<|e|> and </s> spelt out", "two\n\nlines  ", "e\u0301 combining"]


def test_a_document_ends_with_the_end_and_begins_with_the_beginning(marked):
    marks = Marks.of(marked)
    found = encode(TEXTS, marked, marks)
    for text, first, last in zip(TEXTS, found.bounds, found.bounds[1:], strict=False):
        ids = found.ids[first:last].tolist()
        if marks.begin is not None:
            assert ids.pop(0) == marks.begin
        if marks.end is not None:
            assert ids.pop() == marks.end
        assert ids == marked(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert marked.decode(ids) == text


def test_the_rule_of_the_beginning(bpe):
    assert Marks.of(bpe(begin="<e>", end="<e>", padding="<e>")).begin == 0
    assert Marks.of(bpe(begin="<s>", end="</s>", adds=True)).begin == 0
    assert Marks.of(bpe(begin="<s>", end="</s>")).begin is None
    assert Marks.of(bpe(end="</s>")).begin is None


def test_a_mark_that_a_text_spells_is_text(marked):
    marks = Marks.of(marked)
    inner = encode(["<|e|></s><s><pad>"], marked, marks).ids
    assert sum(int(id in marked.all_special_ids) for id in inner) == sum(
        m is not None for m in (marks.begin, marks.end)
    )


def test_bytes_of_a_document_add_up(marked):
    found = encode(TEXTS, marked, Marks.of(marked))
    sums = np.add.reduceat(found.bytes, found.bounds[:-1])
    assert sums.tolist() == [len(text.encode()) for text in TEXTS]


@settings(deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=40))
def test_bytes_of_any_text_add_up(tokenizer, text):
    found = tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
    spelled = bytes_of_tokens(text, found["offset_mapping"])
    assert int(spelled.sum()) == len(text.encode())
    assert (spelled >= 0).all()


def test_bytes_of_whole_characters_are_exact():
    assert bytes_of_tokens("aé日🙂", [(0, 1), (1, 2), (2, 3), (3, 4)]).tolist() == [1, 2, 3, 4]


def test_bytes_that_no_token_covers_count_for_the_next_or_the_last():
    assert bytes_of_tokens(" ab  c ", [(1, 2), (2, 3), (5, 6)]).tolist() == [2, 1, 4]
    assert bytes_of_tokens("日", [(0, 1), (0, 1), (0, 1)]).tolist() == [3, 0, 0]


@pytest.mark.parametrize("enough", [1, 10, 30, 10**9])
def test_enough_stops_with_the_document_that_reaches_it(tokenizer, enough):
    whole = encode(TEXTS, tokenizer, Marks.of(tokenizer))
    found = encode(TEXTS, tokenizer, Marks.of(tokenizer), enough)
    supervised = np.cumsum(whole.lengths - 1)
    expected = min(int(np.searchsorted(supervised, enough)) + 1, len(TEXTS))
    assert len(found.lengths) == expected
    assert np.array_equal(found.ids, whole.ids[: len(found.ids)])


def test_many_documents_equal_one_by_one(tokenizer, monkeypatch):
    marks = Marks.of(tokenizer)
    whole = encode(TEXTS, tokenizer, marks)
    monkeypatch.setattr("distill.data.encode.AT_ONCE", 1)
    single = encode(TEXTS, tokenizer, marks)
    for name in ("ids", "bytes", "bounds"):
        assert np.array_equal(getattr(whole, name), getattr(single, name))


def test_no_documents_are_no_tokens(tokenizer):
    found = encode([], tokenizer, Marks.of(tokenizer))
    assert isinstance(found, Encoded)
    assert len(found.ids) == len(found.lengths) == 0
