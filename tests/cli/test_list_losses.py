"""``distill list losses`` is where a person chooses: every loss says what it is, its formula, its source, its needs."""

import re

import pytest
from rich.cells import cell_len

from distill.__main__ import main
from distill.cli.list import choices
from distill.cli.sources import CONF, Sources

LOSSES = {row.name: row for row in choices("loss", Sources())}


def test_every_yaml_is_there():
    assert set(LOSSES) == {path.stem for path in (CONF / "loss").glob("*.yaml")}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_says_everything(name):
    row = LOSSES[name]
    assert re.match(r"[A-ZÀ-Þα-ω0-9].{19,}", row.says), row.says
    assert len(row.formula) >= 5
    assert all(re.search(r"\(\d{4}\)\. .+\. .+", source) for source in row.source.splitlines()), row.source
    assert row.source
    assert re.match(r"needs [a-z]", row.needs)
    for text in (row.says, row.formula, row.source):
        assert not re.search(r"``|  |:$| al\.$", text), text


def test_no_two_say_the_same_of_themselves():
    assert len({row.says for row in LOSSES.values()}) == len(LOSSES)


@pytest.mark.parametrize("width", [80, 140])
def test_every_word_is_shown(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["list", "losses"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, lines)) <= width
    shown = "".join(line.split("│")[2] for line in lines if line.startswith("│"))
    for row in LOSSES.values():
        for text in (row.says, row.formula, row.source, row.needs):
            assert "".join(text.split()) in "".join(shown.split()), (row.name, text)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("dual_space", "D(p', q) + CE(y, p')"),
        ("span_likelihood", "τ Σ_spans D("),
        ("standardised_kl", "KL(p ‖ q) = Σ p (log p − log q)\np = softmax(Z(z_teacher) / T)"),
        ("uld", "Σ |p − q|"),
    ],
)
def test_a_formula_is_the_loss_s_own_and_not_its_part_s(name, word):
    assert LOSSES[name].formula.startswith(word)


def test_every_source_is_told():
    assert [source.split(" (")[0] for source in LOSSES["qkv_relation"].source.splitlines()] == ["Wang et al."] * 2
    assert "FitNets" in LOSSES["hidden"].source
    assert "Standardization" in LOSSES["standardised_kl"].source


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("forward_kl", "needs logits, or topk for a bound"),
        ("standardised_kl", "needs logits"),
        ("sampled_cross_entropy", "needs sampled"),
        ("cross_entropy", "needs nothing"),
        ("hidden", "needs hidden, layers"),
        ("hidden_cosine", "needs hidden"),
        ("attention_maps", "needs attention, hidden"),
        ("value_relation", "needs hidden, layers"),
    ],
)
def test_needs_are_those_of_the_yaml_as_it_is(name, needs):
    assert LOSSES[name].needs == needs
