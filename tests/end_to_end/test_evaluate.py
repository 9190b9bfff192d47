"""`distill evaluate`: a run measured again says the same; other text or teacher never touches its rows."""

import shutil
from pathlib import Path

import pytest
import yaml

from distill.__main__ import main
from distill.rows import METRICS, WALL_CLOCK_UNITS, read


@pytest.fixture
def run(distill, laboratory) -> Path:
    """Trained once; the same command finds it finished."""
    folder = laboratory / "measured"
    assert distill("train", f"paths.run={folder}", "control=steps") == 0
    return folder


QUICK = ["measure=quick", "measure.model_measures.speed.new_tokens=4", "measure.model_measures.speed.rounds=1"]
ANY = ["data.path=corpus.jsonl", "data.validation=0.1", "data.test=0.1", "data.sequence_length=32"]


def told(folder: Path) -> dict[tuple[str, str], object]:
    """The last word on each number that no clock has measured."""
    kept = [row for row in read(folder / METRICS) if row.split in ("test", "none")]
    return {(row.subject, row.metric): row for row in kept if row.unit not in WALL_CLOCK_UNITS}


def test_a_run_measured_again_says_the_same_of_the_same_teacher(run, laboratory):
    before, count = told(run), len(read(run / METRICS))
    teachers = sorted((laboratory / "cache" / "nursery").iterdir())
    assert main(["evaluate", str(run), *QUICK]) == 0
    assert told(run) == before
    assert len(read(run / METRICS)) > count
    assert sorted((laboratory / "cache" / "nursery").iterdir()) == teachers  # it was not trained again


def test_other_text_goes_to_a_folder_of_its_own(run, laboratory, tiny):
    lines = (laboratory / "corpus.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (laboratory / "other.jsonl").write_text("".join(lines[:90]).replace("teacher", "sorcerer"), encoding="utf-8")
    before = (run / METRICS).read_bytes()
    assert main(["evaluate", str(run), "data.path=other.jsonl", "into=apart", *QUICK]) == 0
    assert main(["evaluate", str(run), "data.path=other.jsonl", "paths.root=elsewhere", *QUICK]) == 0
    (found,) = (laboratory / "elsewhere").iterdir()
    assert (run / METRICS).read_bytes() == before
    assert told(found) == told(laboratory / "apart")
    of_training = {key for key in told(run) if key[1] == "gradient_norm_variation"}
    assert told(found).keys() == told(run).keys() - of_training
    assert told(found)["student", "nats_per_token"] != told(run)["student", "nats_per_token"]
    assert (found / "report.html").is_file()
    assert (found / "provenance.json").is_file()


def test_a_models_folder_is_measured_beside_a_teacher(run, laboratory, tiny):
    teacher = ["teacher=live", f"teacher.path={run / 'control'}", "name=mine", "into=beside"]
    assert main(["evaluate", str(run / "student"), *teacher, *ANY, *QUICK]) == 0
    found = told(laboratory / "beside")
    assert found["teacher", "kl_to_teacher"].value == 0.0
    assert found["mine", "kl_to_teacher"].value > 0.0
    assert found["mine", "disk_bytes"].value == (run / "student" / "model.safetensors").stat().st_size


def test_without_a_teacher_there_is_no_agreement(run, laboratory, tiny):
    assert main(["evaluate", str(run / "student"), "into=alone", *ANY, *QUICK]) == 0
    assert {subject for subject, _ in told(laboratory / "alone")} == {"student"}
    assert ("student", "kl_to_teacher") not in told(laboratory / "alone")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["two", "words"],
        ["nowhere/at/all"],
        ["corpus.jsonl"],
        ["."],
        ["org/name", "measure.tokn=3"],
        ["org/name", "teacher=nursery"],
        ["org/name", "-m"],
    ],
)
def test_what_cannot_be_measured_is_refused_and_nothing_is_left(words, laboratory, tiny, capsys):
    before = sorted(laboratory.rglob("*"))
    assert main(["evaluate", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert sorted(laboratory.rglob("*")) == before


@pytest.mark.parametrize(
    "spoilt",
    [
        b"",
        b"[1, 2]",
        b"data: [",
        b"\xff\xfe",
        b"data: {}\nteacher: {}\nseed: 0\n",
        "target",
        "key",
    ],
)
def test_a_run_folder_of_a_stranger_is_held_to_the_same_rules(spoilt, run, tmp_path, laboratory, tiny, capsys):
    shutil.copytree(run, tmp_path / "stranger")
    config = tmp_path / "stranger" / "config.yaml"
    if isinstance(spoilt, bytes):
        config.write_bytes(spoilt)
    else:
        written = yaml.safe_load(config.read_text(encoding="utf-8"))
        if spoilt == "target":
            written["data"] = {"_target_": "os.system", "command": f"touch {tmp_path / 'canary'}"}
        else:
            written["teacher"]["pth"] = "x"
        config.write_text(yaml.safe_dump(written), encoding="utf-8")
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "stranger"), *QUICK]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "canary").exists()


def test_dry_run_says_whose_and_where_to_and_does_nothing(run, laboratory, tiny, capsys):
    before = sorted(laboratory.rglob("*"))
    capsys.readouterr()
    assert main(["evaluate", str(run), "--dry-run"]) == 0
    assert "control, student" in capsys.readouterr().out
    assert sorted(laboratory.rglob("*")) == before
