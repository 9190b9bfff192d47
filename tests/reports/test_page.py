"""The page is one file that asks nobody for anything, and obeys nothing that it shows."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from distill.reports.report import Written, write
from distill.reports.table import show
from distill.rows import METRICS, Row, append

TAGS = set(
    re.findall(
        r"\w+",
        """html
        head meta link title style body header p h1 h2 strong ul li nav a main section figure figcaption div table
        thead tbody tr th td small svg path g rect circle text tspan button span details summary pre code dl dt dd
        blockquote footer script""",
    )
)
PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    '" onfocus="alert(1)" autofocus="',
    "javascript:alert(1)",
    "[click](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    "<javascript:alert(1)>",
    "<http://example.org>",
    "[a]: http://example.org",
    "{{ 7*7 }}",
    "{% include '/etc/passwd' %}",
    "{{ ''.__class__.__mro__ }}",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "a\rb",
    "a\x00b",
    "a\x08\x08b",
    "\u202eevil\u202c",
    "\u2066a\u2069",
    "\ud800",
    "\ufeff",
    "[red]rich[/red]",
    "[link=http://example.org]x[/link]",
    "[/]",
    "[bold",
    ":smile: :warning:",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1+1)",
    '=HYPERLINK("http://example.org")',
    "| a | b |",
    "```\nfence\n```",
    "`code` *bold* _it_ ~~no~~",
    "# heading",
    "- list\n- list",
    "<!-- comment -->",
    "&lt;b&gt; &amp; &#x3c;",
    "a" * 400,
    "naïve 日本語 👩‍🔬",
]


class Parts(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(path: Path) -> Parts:
    parts = Parts()
    parts.feed(path.read_text(encoding="utf-8"))
    return parts


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A run and a sweep's shape of it, in which every text is a payload."""
    run = tmp_path_factory.mktemp("hostile") / "run"
    run.mkdir()
    append(run / METRICS, [Row("student", "bits_per_byte", 2.0, "bits/byte", "test", 1, 0)])
    for i, bad in enumerate(PAYLOADS):
        rows = [Row(bad, "bits_per_byte", 2.0 + i, bad, "test", 1, 0), Row("student", bad, 1.0, bad, "test", 1, 0)]
        rows += [Row("student", f"loss/{bad}", float(s), bad, "train", s, 0) for s in range(3)]
        rows += [Row("data", bad, float(i), "count", "train", 0, 0)]
        append(run / METRICS, rows)
    with (run / "samples.jsonl").open("w") as file:
        file.writelines(json.dumps({"subject": bad, "prompt": bad, "text": bad}) + "\n" for bad in PAYLOADS)
    told = {bad: bad for bad in PAYLOADS}
    provenance = {"formula": "\n".join(PAYLOADS), "citations": PAYLOADS, "differences": told, "data": {"dropped": told},
                  "command": PAYLOADS, "machine": told, **told}  # fmt: skip
    (run / "provenance.json").write_text(json.dumps(provenance))
    (run / "status.json").write_text(json.dumps({"state": "failed", "cause": " ".join(PAYLOADS), "log": PAYLOADS[0]}))
    return write([run])


@pytest.fixture(scope="module")
def hostile_sweep(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Run names, swept keys and their values are payloads."""
    sweep = tmp_path_factory.mktemp("hostile") / "sweep"
    (sweep / "jobs").mkdir(parents=True)
    names = [f"run-{i}" for i in range(len(PAYLOADS))]
    keys = [PAYLOADS[0], PAYLOADS[20]]
    for name, bad in zip(names, PAYLOADS, strict=True):
        (sweep / "runs" / name).mkdir(parents=True)
        append(sweep / "runs" / name / METRICS, [Row("student", "bits_per_byte", 2.0, "bits/byte", "test", 1, 0)])
        (sweep / "jobs" / f"{name}.json").write_text(json.dumps({"swept": dict.fromkeys(keys, bad)}))
    plan = {"command": PAYLOADS, "swept": dict.fromkeys(keys, PAYLOADS), "runs": names}
    (sweep / "sweep.json").write_text(json.dumps(plan))
    return write([sweep])


@pytest.fixture(params=["hostile", "hostile_sweep"])
def attacked(request: pytest.FixtureRequest) -> Written:
    return request.getfixturevalue(request.param)


def plain(payload: str) -> str:
    """As it should be read: control characters written out."""
    return "".join(c if c.isprintable() or c in "\n\t\u200d" else c.encode("unicode_escape").decode() for c in payload)


def test_the_page_obeys_no_text(attacked: Written) -> None:
    page = parsed(attacked.html)
    assert set(page.tags) <= TAGS
    assert page.tags.count("script") == 1
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "src", "xlink:href", "action", "formaction", "data", "srcset"):
            assert value.startswith("#") or value == "data:,", (tag, value)


def test_every_text_is_shown_letter_by_letter(hostile: Written) -> None:
    page = parsed(hostile.html)
    for payload in PAYLOADS:
        assert plain(payload) in page.text


def test_markdown_obeys_no_text(attacked: Written) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(attacked.markdown.read_text(encoding="utf-8"))
    flat = [inner for token in tokens for inner in (token, *(token.children or ()))]
    assert not {token.type for token in flat} & {"html_block", "html_inline", "link_open", "image"}
    headings = [token for token in flat if token.type == "heading_open"]
    assert len(headings) == 1 + len(attacked.document.sections)


def test_markdown_shows_every_text(hostile: Written) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(hostile.markdown.read_text(encoding="utf-8"))
    words = "\n".join(inner.content for token in tokens for inner in (token, *(token.children or ())))
    for payload in PAYLOADS:
        assert plain(payload) in words


def test_the_terminal_obeys_no_text(attacked: Written) -> None:
    out = StringIO()
    console = Console(file=out, width=200, force_terminal=True, color_system=None)
    show(attacked.document, console)
    told = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())  # rich's own bold
    assert all(c.isprintable() or c in "\n\u200d" for c in told)
    assert "\\x1b[31mred" in told


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_terminal_table_fits(run_folder: Path, tmp_path: Path, width: int) -> None:
    out = StringIO()
    written = write([run_folder], tmp_path)
    show(written.document, Console(file=out, width=width))
    assert max(len(line) for line in out.getvalue().splitlines()) <= width
    for number in ("bits per byte", "parameters", "decode"):
        assert width < 80 or number in out.getvalue() or "more columns" in out.getvalue()


@pytest.mark.parametrize("which", ["run_folder", "sweep_folder"])
def test_no_network(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    page = write([request.getfixturevalue(which)], tmp_path).html.read_text(encoding="utf-8")
    parts = parsed(tmp_path / "report.html")
    for tag, name, value in parts.attributes:
        if name in ("src", "href", "srcset", "poster", "data", "action"):
            assert value.startswith(("#", "data:,")), (tag, name, value)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(|WebSocket|sendBeacon|EventSource", page)
    policy = next(value for tag, name, value in parts.attributes if name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy


def test_the_policy_lets_the_one_script_run(run_folder: Path, tmp_path: Path) -> None:
    page = write([run_folder], tmp_path).html.read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.replace("&#39;", "'")


def test_the_page_is_small(run_folder: Path, tmp_path: Path) -> None:
    assert write([run_folder], tmp_path).html.stat().st_size < 500_000


def test_every_picture_has_a_name_and_a_caption(sweep_folder: Path, tmp_path: Path) -> None:
    write([sweep_folder], tmp_path)
    parts = parsed(tmp_path / "report.html")
    named = [value for tag, name, value in parts.attributes if tag == "svg" and name == "aria-label"]
    assert len(named) == len([v for tag, name, v in parts.attributes if tag == "svg" and name == "role"])
    assert all(named)
    assert parts.tags.count("figcaption") >= parts.tags.count("details")
