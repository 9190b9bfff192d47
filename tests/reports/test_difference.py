"""Two runs beside each other."""

import json

import pytest
import yaml

from distill.__main__ import main
from distill.reports.difference import difference
from distill.reports.gather import read_run

ROW = {"subject": "student", "unit": "bits/byte", "split": "test", "step": 9, "seed": 0, "metric": "bits_per_byte"}


def run_of(folder, temperature: float, bits: float):
    folder.mkdir()
    config = {"name": folder.name, "objective": {"temperature": temperature}, "seed": 0}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "provenance.json").write_text(json.dumps({"source": {"commit": folder.name}, "seed": 0}))
    row = {**ROW, "value": bits, "low": bits - 0.01, "high": bits + 0.01}
    (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    return folder


@pytest.fixture
def pair(tmp_path):
    return run_of(tmp_path / "first", 1.0, 2.5), run_of(tmp_path / "second", 4.0, 2.25)


def test_keys_numbers_and_origins(pair):
    document = difference(*map(read_run, pair))
    configs, numbers, origins = (section.blocks[0] for section in document.sections)
    assert [[item.text for item in row] for row in configs.rows] == [["objective.temperature", "1", "4"]]
    assert [item.text for item in numbers.rows[0]] == ["bits per byte", "student", "2.500", "2.250", "−0.250"]
    assert numbers.rows[0][-1].best
    assert [[item.text for item in row] for row in origins.rows] == [["source.commit", "first", "second"]]
    assert document.headline == "They differ in one key"
    assert document.sentence == "The second student is 0.2500 bits per byte better than the first."


def test_a_run_and_itself_do_not_differ(pair):
    document = difference(read_run(pair[0]), read_run(pair[0]))
    assert document.headline == "They differ in 0 keys"
    assert "to the last digit" in document.sentence


def test_the_verb_prints_and_writes(pair, capsys, tmp_path):
    assert main(["diff", *map(str, pair), f"into={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert "objective.temperature" in said
    assert "−0.250" in said
    assert "−0.250" in (tmp_path / "report.md").read_text()


def test_no_column_is_left_out_where_the_terminal_is_narrow(pair, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["diff", *map(str, pair)]) == 0
    said = capsys.readouterr().out
    assert "more columns" not in said
    assert max(map(len, said.splitlines())) <= 80
    assert "−0.250" in said


@pytest.mark.parametrize("words", [["a"], ["a", "b", "c"], ["a", "b", "key=1"]])
def test_what_are_not_two_runs_is_refused(words, capsys):
    assert main(["diff", *words]) == 2
    assert "two run folders" in capsys.readouterr().err


def test_a_sweep_is_no_run(pair, tmp_path, capsys):
    (pair[0] / "sweep.json").write_text("{}")
    assert main(["diff", *map(str, pair)]) == 2
    assert "is a sweep" in capsys.readouterr().err
