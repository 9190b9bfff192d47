import sys

import pytest

from distill.data import python_docs as read
from distill.data.python_docs import python_docs
from distill.errors import BadInput


@pytest.fixture(scope="module")
def corpus(cache):
    return python_docs(cache)


def test_size_is_what_the_quickstart_was_measured_on(corpus):
    characters = sum(len(document.text) for document in corpus.documents)
    assert 1_900 < len(corpus.documents) < 2_800
    assert 1_300_000 < characters < 2_200_000


def test_every_row_is_accounted_for_and_every_document_is_different(corpus):
    assert corpus.rows == len(corpus.documents) + sum(corpus.dropped.values())
    assert {"short", "duplicate"} <= set(corpus.dropped)
    assert len({document.text for document in corpus.documents}) == len(corpus.documents)
    assert min(len(document.text) for document in corpus.documents) >= 200


def test_the_second_look_parses_nothing_and_is_equal(corpus, cache, monkeypatch):
    monkeypatch.setattr(read, "_parsed", None)
    again = python_docs(cache)
    assert again == corpus
    assert again.sha256 == corpus.sha256


def test_nothing_is_imported_or_run(tmp_path):
    (tmp_path / "pydoc_data").mkdir()
    (tmp_path / "pydoc_data" / "topics.py").write_text(f"topics = {{'a': {'topic ' * 50!r}}}")
    canary = tmp_path / "ran"
    code = f'"""{"module " * 50}"""\nopen({str(canary)!r}, "w")\ndef f():\n    """{"function " * 50}"""\n'
    (tmp_path / "hostile.py").write_text(code)
    (tmp_path / "broken.py").write_text("def (:\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "left_out.py").write_text(f'"""{"test " * 50}"""')
    found = python_docs(library=tmp_path)
    assert [document.text.split()[0] for document in found.documents] == ["topic", "module", "function"]
    assert found.dropped == {"unreadable": 1}
    assert not canary.exists()
    assert "hostile" not in sys.modules


def test_a_python_without_sources_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(BadInput, match=r"no documentation; data\.path="):
        python_docs(library=tmp_path)


def test_a_patched_library_is_another_key(tmp_path):
    (tmp_path / "pydoc_data").mkdir()
    (tmp_path / "pydoc_data" / "topics.py").write_text(f"topics = {{'a': {'topic ' * 50!r}}}")
    (tmp_path / "m.py").write_text(f'"""{"module " * 50}"""\n')
    before = python_docs(tmp_path / "cache", tmp_path)
    (tmp_path / "m.py").write_text(f'"""{"module! " * 50}"""\n')
    assert python_docs(tmp_path / "cache", tmp_path).sha256 != before.sha256
