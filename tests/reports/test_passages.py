"""The page of tokens: shades, hover, and sums that are those of the rows; in HTML and in Markdown."""

import json
import math

import pytest

from distill.reports.gather import read_run
from distill.reports.page import html
from distill.reports.passages import passages
from distill.reports.report import write

ROW = {"subject": "student", "unit": "nats/token", "split": "test", "step": 9, "seed": 0}


def token(text: str, kl: float) -> dict:
    return {"text": text, "kl": kl, "chance": 0.25, "teacher": [["</b>", 0.5], ["\n", 0.2]], "own": [[" a", 0.9]]}


@pytest.fixture
def folder(tmp_path):
    """A run with one passage; a line of another kind stands between."""
    run = tmp_path / "run"
    run.mkdir()
    told = [token("<i>", 0.0), token(" x", 3.0), token("\n", 0.3)]
    lines = [{"subject": "student", "sample": 0, "tokens": told}, {"subject": "student", "sample": 3, "label": "5"}]
    (run / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [{**ROW, "metric": "shown_kl_to_teacher", "value": 1.1, "n": 3}]
    rows += [{**ROW, "metric": "nats_per_token", "value": 3.0}]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


def test_the_numbers_shown_sum_to_the_logged_one(folder):
    run = read_run(folder)
    (passage,) = run.passages
    row = run.last("student", "shown_kl_to_teacher")
    assert row is not None
    assert math.fsum(word.divergence for word in passage.words) == pytest.approx(row.value * row.n, rel=1e-12)
    assert not run.problems
    assert not run.samples


def test_the_darker_the_further(folder):
    block = passages(read_run(folder))
    assert block is not None
    ((_, name, remark, tokens),) = block.texts
    assert (name, remark) == ("student", "text 1: 1.100 nats a token over 3")
    assert [round(one.shade, 3) for one in tokens] == [0.0, 0.866, 0.274]
    assert [row[0].text for row in block.worst.rows] == ["␣x", "⏎", "<i>"]


def test_text_is_text_on_both_pages(folder):
    page = write([folder]).html.read_text()
    assert "&lt;i&gt;" in page
    assert "<i>" not in page.replace("<i></i>", "")
    assert 'data-left="&lt;/b&gt;&#9;50.0 %&#10;⏎&#9;20.0 %"' in page
    assert "--share:87%" in page
    told = (folder / "report.md").read_text()
    assert "1.100 nats a token over 3" in told
    assert "⏎" in told


def test_a_run_without_passages_has_no_such_section(folder):
    (folder / "samples.jsonl").unlink()
    written_now = write([folder]).document
    assert "Token by token" not in [section.title for section in written_now.sections]
    assert html(written_now)
    assert passages(read_run(folder)) is None
