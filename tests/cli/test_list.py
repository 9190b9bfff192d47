"""``distill list`` tells what can be chosen, from files alone."""

from pathlib import Path

import pytest

from distill.__main__ import main
from distill.cli.list import choices
from distill.cli.sources import Sources


@pytest.mark.parametrize("group", Sources().groups)
def test_every_choice_of_every_group_says_what_it_is(group: str) -> None:
    rows = choices(group, Sources())
    assert rows
    assert all(row.says and "\n" not in row.says for row in rows), rows
    assert len({row.name for row in rows}) == len(rows)


def test_a_loss_tells_formula_source_and_needs() -> None:
    (row,) = [row for row in choices("loss", Sources()) if row.name == "forward_kl"]
    assert "KL(p ‖ q)" in row.formula
    assert "Source" not in row.formula
    assert "Hinton" in row.source
    assert row.needs == "needs logits, or topk for a bound"


@pytest.mark.parametrize("word", ["loss", "losses", "teachers", "teacher", "data", "objectives", "experiments"])
def test_singular_or_plural(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", word]) == 0
    assert "what it is" in capsys.readouterr().out


def test_a_misspelt_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "lossess"]) == 2
    assert "did you mean loss?" in capsys.readouterr().err


def test_choices_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "student").mkdir()
    text = "# [bold]Mine[/bold]. And more.\n_target_: distill.students.from_scratch.FromScratch\n"
    (tmp_path / "student" / "mine.yaml").write_text(text)
    assert main(["list", "students", "--config-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "mine" in out
    assert "[bold]Mine[/bold]." in out
