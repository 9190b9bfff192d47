import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.data.corpus import Corpus, Document
from distill.data.split import split_by_hash
from distill.errors import BadInput


def corpus_of(texts) -> Corpus:
    documents = tuple(Document(text, hashlib.sha256(text.encode()).digest()) for text in dict.fromkeys(texts))
    return Corpus("test", documents, len(documents), {})


CORPUS = corpus_of(f"document {i}" for i in range(4_000))


@pytest.mark.parametrize("share", [0.03, 0.06, 0.25, 1.0])
def test_every_document_stands_in_one_place(share):
    found = split_by_hash(CORPUS, 0.1, 0.2, share)
    assert len({*found.pool, *found.validation, *found.test}) == len(CORPUS.documents)
    assert len(found.pool) + len(found.validation) + len(found.test) == len(CORPUS.documents)
    assert len(found.pool) == len(found.train) + found.dropped.get("outside_share", 0)


def test_fractions_are_what_was_asked_for():
    found = split_by_hash(CORPUS, 0.1, 0.2, 0.25)
    for documents, expected in ((found.test, 800), (found.validation, 400), (found.train, 700)):
        assert abs(len(documents) - expected) < 4 * expected**0.5


def test_shares_are_nested_and_leave_the_rest_alone():
    shares = [split_by_hash(CORPUS, 0.1, 0.1, share) for share in (0.03, 0.06, 0.25, 1.0)]
    for smaller, larger in pairwise(shares):
        assert set(smaller.train) < set(larger.train)
        assert (smaller.validation, smaller.test, smaller.pool) == (larger.validation, larger.test, larger.pool)
    assert shares[-1].train == shares[-1].pool


def test_a_document_keeps_its_place_when_the_corpus_grows():
    few = split_by_hash(Corpus("test", CORPUS.documents[::7], 0, {}), 0.1, 0.1, 0.5)
    all_of_them = split_by_hash(CORPUS, 0.1, 0.1, 0.5)
    for name in ("train", "pool", "validation", "test"):
        assert set(getattr(few, name)) <= set(getattr(all_of_them, name))


def test_the_share_does_not_depend_on_the_split():
    """Bytes of the hash that choose the split say nothing about the share."""
    found = split_by_hash(CORPUS, 0.0, 0.9, 0.5)
    assert 0.35 < len(found.train) / len(found.pool) < 0.65


def test_evaluation_does_not_depend_on_the_order_of_files():
    turned = Corpus("test", CORPUS.documents[::-1], 0, {})
    assert split_by_hash(turned, 0.1, 0.1).test == split_by_hash(CORPUS, 0.1, 0.1).test


def test_zero_is_an_empty_split():
    found = split_by_hash(CORPUS, 0.0, 0.0)
    assert (found.validation, found.test, len(found.train)) == ((), (), 4_000)


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (1.0, 0.0), (0.7, 0.4)])
def test_nothing_to_train_on_is_refused(validation, test):
    with pytest.raises(BadInput, match="nothing is left to train on"):
        split_by_hash(CORPUS, validation, test)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [((0.1, 0.1, 1e-9), "data.share"), ((1e-9, 0.1), "data.validation"), ((0.1, 1e-9), "data.test")],
)
def test_an_empty_split_that_was_asked_for_is_refused(arguments, key):
    with pytest.raises(BadInput, match=f"{key}: .* none of the 4000 documents fell into it"):
        split_by_hash(CORPUS, *arguments)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8, unique=True).filter(lambda t: "".join(t).isprintable()))
def test_few_documents_are_split_or_refused(texts):
    try:
        found = split_by_hash(corpus_of(texts), 0.3, 0.3)
    except BadInput:
        return
    assert found.train
    assert found.validation
    assert found.test
