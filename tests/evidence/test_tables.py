"""Tables between markers, and what they say."""

import pytest

from distill.errors import BadInput
from distill.evidence import claim as claims
from distill.evidence import results as files
from distill.evidence.tables import evidence, replaced, summary
from tests.evidence.test_claim import TEXT

TABLE = """order = ["many", "few"]
[[tables]]
title = "their table"
origin = "second-hand"
columns = ["arm", "loss"]
rows = [["few", "2.8"]]
"""


@pytest.fixture
def claim(tmp_path):
    folder = tmp_path / "more_2020"
    folder.mkdir()
    (folder / "claim.toml").write_text(TEXT + TABLE, encoding="utf-8")
    told = claims.read(folder)
    assert told is not None
    return told


def test_what_is_written_between_markers_is_renewed_and_nothing_else_is(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- evidence -->\nold\n<!-- /evidence -->\nafter\n")
    assert replaced(page, "evidence", "new", check=True)
    assert "old" in page.read_text()
    assert replaced(page, "evidence", "new")
    assert page.read_text() == "before\n<!-- evidence -->\n\nnew\n\n<!-- /evidence -->\nafter\n"
    assert not replaced(page, "evidence", "new")
    with pytest.raises(BadInput, match="no place for its table"):
        replaced(page, "experiments", "new")


def test_an_experiment_says_claim_numbers_verdict_and_whose_numbers_are_second_hand(claim, results):
    few, many = [3.0, 3.1, 3.2], [2.0, 2.2, 2.4]
    teacher = {"few/teacher": [1.0, 1.0, 1.0], "many/teacher": [1.0, 1.0, 1.0]}
    told = results({"few": few, "many": many, **teacher}, metric="nats_per_token")
    page = evidence(claim, told)
    assert "**reproduced (1 of 1, 1 of them by Student's t too)**" in page
    assert "Second-hand" in page
    assert "| few | 3.100 ±0.248 |" in page
    assert page.count("| teacher |") == 1
    assert "| −0.9000 | −1.0000 … −0.8000 | −1.1484 … −0.6516 | 3 | holds |" in page
    assert "12 runs" not in page
    assert "6 runs over seeds 0, 1, 2, 2 minutes in all" in page  # half a minute each, two at a time


def test_one_line_an_experiment(claim, results):
    line = summary([(claim, [])], "experiments/").splitlines()[-1]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "[Somebody 2020](experiments/more_2020/README.md)",
        "`distill train experiment=more_2020 -m seed=0,1,2`",
        "more is better",
        "**not run**",
        "—",
    ]


def test_results_are_read_as_they_were_written(claim, results):
    told = results({"few": [1.0, float("nan")]}, metric="nats_per_token")
    files.write(claim.folder / files.RESULTS, told)
    again = files.read(claim.folder)
    assert again[0] == told[0]
    assert again[1].value != again[1].value
    (claim.folder / files.RESULTS).write_text('{"arm": 1}\n')
    with pytest.raises(BadInput, match="not a result"):
        files.read(claim.folder)
