"""Pictures in a report: shown beside what was said of them, from the page itself and from nowhere else."""

import json

import pytest

from distill.reports.continuations import continuations
from distill.reports.gather import gather
from distill.reports.report import write
from distill.reports.said import PICTURE

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [
        {"subject": who, "prompt": "what colour?", "text": text, "picture": picture}
        for who, text, picture in (
            ("teacher", "red", PIXEL),
            ("student", "blue", PIXEL),
            ("teacher", "green", "https://example.org/spy.png"),
            ("control", "white", 'data:image/png;base64,"onerror="alert(1)'),
        )
    ]
    (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.yaml").write_text("name: seen\n")
    return folder


def test_the_same_question_about_another_picture_is_another_prompt(run):
    (found,) = gather([run]).runs
    told = continuations(found)
    assert told is not None
    assert told.pictures == (PIXEL, "")
    assert [len(voices) for _, voices in told.prompts] == [2, 2]


def test_only_pictures_that_lie_in_the_page_are_shown(run):
    page = write([run]).html.read_text()
    assert page.count("<img") == 1
    assert PIXEL in page
    assert "example.org" not in page
    assert "onerror" not in page
    assert PICTURE.fullmatch(PIXEL)
