"""Whatever a text holds, Markdown reads it as that text."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from distill.reports.escaping import fenced, in_markdown, shown

texts = st.text(st.sampled_from(list("ab1 \\`*_{}[]()#|~$@:=+-.!^<>&;/\"'\n")), min_size=1, max_size=30)


@given(texts)
def test_a_paragraph_is_its_text(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(in_markdown(text, start=True))
    kinds = [token.type for token in tokens]
    assert kinds in (["paragraph_open", "inline", "paragraph_close"], [])
    children = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in children} <= {"text"}
    assert "".join(child.content for child in children).strip() == shown(text).strip()


@given(texts)
def test_a_cell_is_its_text(text: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| x | {in_markdown(text)} |\n"
    cells = [token for token in MarkdownIt("commonmark").enable("table").parse(table) if token.type == "inline"]
    assert len(cells) == 4
    children = cells[-1].children or []
    assert {child.type for child in children} <= {"text"}
    assert "".join(child.content for child in children).strip() == shown(text).strip()


@given(texts)
def test_a_block_is_its_text(text: str) -> None:
    (token,) = MarkdownIt("commonmark").parse(fenced(text))
    assert token.type == "fence"
    assert token.content == shown(text, lines=True) + "\n"


def test_no_control_character_survives_and_no_script_is_harmed() -> None:
    assert shown("a\x1b[31m\x00\u202e\ud800\r\n") == "a\\x1b[31m\\x00\\u202e\\ud800\\r\\n"
    assert shown("a\r\nb\tc", lines=True) == "a\nb\tc"
    for text in ("naïve", "日本語\u3000全角", "می\u200cخواهم", "👩\u200d🔬", "KL(p‖q) − 1\u00a0%"):
        assert shown(text) == text
