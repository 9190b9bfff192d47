"""The card tells every number, where it comes from, and obeys nothing of what it quotes."""

import math

import pytest

from distill.export.model_card import Facts, card, licence_of, number
from distill.rows import Row

ROWS = [
    Row("teacher", "bits_per_byte", 2.0312345, "bits/byte", "test", 0, 3, 900, low=1.98, high=2.08),
    Row("student", "bits_per_byte", 2.3156789, "bits/byte", "test", 40, 3, 900),
    Row("control", "kl_to_teacher", 0.6612345, "nats/token", "test", 40, 3, 900),
    Row("student", "energy/dark", 1234567.0, "J", "none", 40, 3, 1),
    Row("student-x", "kl_to_student", 0.0012345678, "nats/token", "test", 40, 3, 900),
    Row("student-x", "reliability/03/accuracy", 0.0612, "fraction", "test", 40, 3, 40),
    Row("student-x", "perplexity", math.inf, "count", "test", 40, 3, 40),
]


def facts(**told):
    given = {
        "name": "student-x",
        "student": "student",
        "file": "model.x",
        "label": "x",
        "how": "a reader",
        "usage": "run it",
        "bound": {"kl": 0.02},
        "rows": ROWS,
        "compared": ROWS[1:2],
        "licence": ("unknown", "nobody says"),
        "teacher": "org/large",
        "command": ("distill train seed=3", "distill export runs/x"),
        "provenance": {
            "formula": "total = 1 · kd",
            "citations": "@misc{hinton2015distilling}",
            "hashes": {"data": "abc123"},
            "seed": 3,
            "data": {"source": "notes.jsonl", "splits": {"test": {"documents": 5, "fill": 0.99650327}}},
        },
        "positions": 128,
    }
    return Facts(**{**given, **told})


def test_every_number_stands_in_the_card():
    told = card(facts())
    for row in ROWS:
        assert number(row.value) in told, row
        if row.low is not None and row.high is not None:
            assert f"{number(row.low)} to {number(row.high)}" in told


def test_where_it_comes_from():
    told = card(facts())
    for fact in (
        "org/large",
        "abc123",
        "total = 1 · kd",
        "hinton2015distilling",
        "notes.jsonl",
        "documents 5, fill 0.996503",
        "distill train seed=3",
    ):
        assert fact in told
    assert "128 tokens" in told


def test_an_unknown_licence_is_said_loudly_and_a_known_one_is_named():
    assert "Licence: UNKNOWN" in card(facts())
    assert card(facts()).startswith("---\nlicense: unknown\n")
    told = card(facts(licence=("apache-2.0", "as told with licence=")))
    assert told.startswith("---\nlicense: apache-2.0\n")
    assert "UNKNOWN" not in told


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "[x](javascript:alert(1))", "a | b\x1b[31m", "# heading"]
)
def test_what_it_quotes_is_not_obeyed(text):
    told = card(facts(teacher=text, provenance={"formula": "```\n<b>", "data": {"source": text}}))
    assert "<script>" not in told
    assert "[x](" not in told
    assert "\x1b" not in told
    assert "a | b" not in told


def test_secrets_stay_out(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "canary-0123456789")
    assert "canary" not in card(facts(teacher="https://me:canary-0123456789@host/x"))


def test_a_licence_is_read_from_the_teachers_card(tmp_path):
    assert licence_of(tmp_path)[0] == "unknown"
    assert licence_of(None)[0] == "unknown"
    card_of = tmp_path / "README.md"
    card_of.write_text("---\ntags: [x]\nlicense: Apache-2.0\n---\n# A model\n")
    assert licence_of(tmp_path)[0] == "apache-2.0"
    card_of.write_text("---\nlicense: <script>\n---\n")
    assert licence_of(tmp_path)[0] == "unknown"
    card_of.write_text("# no front matter\nlicense: mit\n")
    assert licence_of(tmp_path)[0] == "unknown"
