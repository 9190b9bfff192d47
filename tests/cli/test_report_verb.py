"""``distill report``: folders in, two files and a table out."""

from pathlib import Path

import pytest

from distill.cli.arguments import parse
from distill.cli.report import run
from distill.errors import BadInput
from distill.rows import METRICS, Row, append


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "temperature=2-1a2b3c4d"
    place.mkdir()
    append(place / METRICS, [Row("student", "bits_per_byte", 2.25, "bits/byte", "test", 1, 0)])
    return place


def test_a_folder_with_an_equals_sign_is_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(parse(["report", str(folder)])) == 0
    assert (folder / "report.html").is_file()
    assert (folder / "report.md").is_file()
    assert "2.250" in capsys.readouterr().out


def test_into_another_folder(folder: Path, tmp_path: Path) -> None:
    assert run(parse(["report", str(folder), f"into={tmp_path / 'out'}"])) == 0
    assert (tmp_path / "out" / "report.html").is_file()
    assert not (folder / "report.html").exists()


def test_a_dry_run_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(parse(["report", str(folder), "--dry-run"])) == 0
    assert "1 rows" in capsys.readouterr().out
    assert [place.name for place in folder.iterdir()] == [METRICS]


@pytest.mark.parametrize("words", [[], ["nowhere"], ["to=here"], ["into="]])
def test_what_is_no_folder_is_refused(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput):
        run(parse(["report", *words]))
    assert list(tmp_path.iterdir()) == []
