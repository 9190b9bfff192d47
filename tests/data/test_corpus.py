import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.data.corpus import Tally, checked, gather
from distill.errors import BadInput


def gathered(texts, **options):
    tally = Tally()

    def told():
        for text in texts:
            tally.rows += 1
            yield text

    return gather("test", told(), tally, **options)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=4), max_size=30).map(lambda t: [*t, "last"]))
def test_every_row_is_a_document_or_counted(texts):
    found = gathered(texts)
    assert found.rows == len(texts) == len(found.documents) + sum(found.dropped.values())
    assert [document.text for document in found.documents] == list(dict.fromkeys(t for t in texts if t.strip()))
    assert all(hashlib.sha256(d.text.encode()).digest() == d.digest for d in found.documents)


def test_a_reader_that_loses_a_row_is_found_out():
    with pytest.raises(AssertionError, match="lost count"):
        gather("test", iter(["a", "b"]), Tally(rows=3))


@pytest.mark.parametrize("change", [["a", "b", "d"], ["a", "c", "b"], ["a", "b"], ["a", "b", "c", "d"], ["ab", "c"]])
def test_any_change_changes_the_hash(change):
    assert gathered(["a", "b", "c"]).sha256 == gathered(["a", "b", "", "c", "a"]).sha256
    assert gathered(change).sha256 != gathered(["a", "b", "c"]).sha256


@pytest.mark.parametrize("text", ["\0", "\ud800", "x" * (2**25 + 1)])
def test_what_is_no_text_is_refused_without_being_shown(text):
    with pytest.raises(BadInput, match=r"^rows:7: ") as caught:
        checked("rows:7", "canary" + text)
    assert "canary" not in str(caught.value)
