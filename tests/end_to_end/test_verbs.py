"""Every verb does its work from one command line, and refuses what it cannot use with one line and exit code 2."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from distill.__main__ import main, verbs
from distill.rows import METRICS, read


@pytest.fixture
def run(distill, laboratory):
    folder = laboratory / "verbs"
    assert distill("train", f"paths.run={folder}", "control=steps") == 0
    return folder


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_verb_is_called_by_a_test(verb):
    texts = (file.read_text(encoding="utf-8") for file in Path(__file__).parents[1].rglob("test_*.py"))
    assert any(re.search(rf'[\[(]"{verb}"[,\]]', text) for text in texts)


def test_evaluate_measures_a_folder_again(run, capsys):
    before = len(read(run / METRICS))
    assert main(["evaluate", str(run)]) == 0
    assert "bits" in capsys.readouterr().out
    assert len(read(run / METRICS)) >= before


def test_report_writes_both_files(run, capsys):
    (run / "report.html").unlink()
    (run / "report.md").unlink()
    assert main(["report", str(run)]) == 0
    assert (run / "report.html").is_file()
    assert (run / "report.md").is_file()
    assert "student" in capsys.readouterr().out


def test_list_tells_every_loss_with_its_formula(capsys):
    assert main(["list", "losses"]) == 0
    told = capsys.readouterr().out
    assert "forward_kl" in told
    assert "KL(p ‖ q)" in told


def test_a_sweep_of_four_is_run_reported_and_not_run_twice(tiny, laboratory):
    words = [*tiny, "control=steps", "paths.sweeps=sweeps", "name=four", "-m"]
    words += ["objective.temperature=1,2", "objective.losses.kd.weight=0.5,0.9"]
    command = [sys.executable, "-m", "distill", "train", *words]
    first = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert first.returncode == 0, first.stdout + first.stderr
    (sweep,) = (laboratory / "sweeps").glob("four-*")
    states = [json.loads(file.read_text())["state"] for file in sweep.glob("runs/*/status.json")]
    assert states == ["done"] * 4
    assert len(list((sweep / "controls").iterdir())) == 1
    assert len({file.stat().st_ino for file in sweep.glob("runs/*/control/model.safetensors")}) == 1
    page = (sweep / "report.html").read_text()
    assert "objective.temperature" in page
    assert "objective.losses.kd.weight" in page
    stamps = {file: file.stat().st_mtime_ns for file in sweep.glob("runs/*/metrics.jsonl")}
    again = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {file: file.stat().st_mtime_ns for file in stamps} == stamps


BAD = {
    "a missing file": ("data.path=nowhere.jsonl", "nowhere.jsonl"),
    "an empty file": ("data.path=empty.txt", "empty.txt"),
    "binary data": ("data.path=binary.txt", "binary.txt"),
    "a broken line of JSON": ("data.path=broken.jsonl", "broken.jsonl:2"),
    "temperature 0": ("objective.temperature=0", "objective.temperature"),
    "a misspelt key": ("objective.temprature=2", "temperature"),
    "an unknown choice": ("teacher=nurcery", "nursery"),
    "a teacher that is not there": ("teacher=live teacher.path=./no/such/folder", "no/such/folder"),
    "a run folder that is a file": ("paths.run=empty.txt", "empty.txt"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(what, tiny, laboratory, capsys):
    (laboratory / "empty.txt").write_text("")
    (laboratory / "binary.txt").write_bytes(bytes(range(256)) * 8)
    (laboratory / "broken.jsonl").write_text('{"text": "whole"}\n{"text": "brok\n')
    words, named = BAD[what]
    drop = ("teacher.", "objective.temperature") if "teacher=" in words else ()
    given = [word for word in tiny if not (drop and word.startswith(drop))]
    place = [] if "paths.run" in words else ["paths.root=never"]
    assert main(["train", *given, *place, *words.split()]) == 2
    told = capsys.readouterr().err
    assert named in told
    assert told.count("\n") == 1, told
    assert not (laboratory / "never").exists()
