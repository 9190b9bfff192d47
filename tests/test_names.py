"""A name can hold anything and leads nowhere: F2 of what must not break."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import BadInput
from distill.names import LONGEST, check, hashed, slug

HOSTILE = [
    "../../x",
    "..",
    ".",
    "/etc/passwd",
    "~root/x",
    "~",
    "a/b",
    "a\\b",
    "C:\\x",
    "a\0b",
    "a\nb",
    "\r\n",
    "x" * 300,
    "é" * 300,
    "-rf",
    "--help",
    ".hidden",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "раура1",
    "．．／x",
    "a；rm",
    "$(touch x)",
    "`touch x`",
    "${HOME}",
    "a b",
    "*",
    "?",
    "<script>",
    "con:",
    "",
    " ",
    "\ud800",
    "日本語",
    "a\u0000\u0301",
    "\u2025/x",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_stays_in_its_folder(text: str, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    made = root / slug(text)
    made.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert made.resolve().parent == root.resolve()
    assert check(slug(text)) == slug(text)


@given(st.text(alphabet=st.characters(), max_size=400))
def test_any_text_becomes_a_name(text: str) -> None:
    name = slug(text)
    assert check(name) == name
    assert 0 < len(name.encode()) <= LONGEST
    assert slug(name) == name


@given(st.text(max_size=300))
def test_with_its_hash_it_is_still_no_longer(text: str) -> None:
    name = hashed(text, "0123abcd")
    assert check(name) == name
    assert name.endswith("-0123abcd")


@pytest.mark.parametrize("text", [text for text in HOSTILE if text])
def test_as_it_stands_it_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        check(text)
    assert str(caught.value).isprintable()
