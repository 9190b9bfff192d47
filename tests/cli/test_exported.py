"""An exported file measured by itself: found in a run or alone, its numbers its student's; what is none, a line."""

import json
import shutil

import pytest
import yaml

from distill.__main__ import main
from distill.cli.arguments import Arguments
from distill.cli.compose import compose
from distill.cli.exported import exported_at
from distill.cli.target import find_exported
from distill.errors import BadInput
from distill.rows import METRICS, read

for package in ("gguf", "onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason=f"{package} is in an extra")

RECHECK = ["recheck.memory=false", "recheck.rounds=1", "recheck.prompt_tokens=8", "recheck.new_tokens=2"]
QUICK = ["measure=quick", "measure.model_measures.speed.new_tokens=2", "measure.model_measures.speed.rounds=1"]
GGUF, ONNX = "student-gguf-f32", "student-onnx"


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_llama, tokenizer):
    """``run/`` with a student and two exports of it, ``teacher/`` and a text."""
    home = tmp_path_factory.mktemp("exported")
    lines = [json.dumps({"text": f"Document {n}: the quick brown fox {n % 7} jumps. " * 2}) for n in range(60)]
    (home / "text.jsonl").write_text("\n".join(lines) + "\n")
    for name, seed in (("run/student", 0), ("teacher", 2)):
        tiny_llama(width=32, seed=seed).save_pretrained(home / name)
        tokenizer.save_pretrained(home / name)
    words = [*text(home), "teacher=live", f"teacher.path={home / 'teacher'}", "logger=none", f"paths.cache={home}"]
    config = compose(Arguments("train", overrides=tuple(words))).config
    (home / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    (home / "run" / "provenance.json").write_text(json.dumps({"fitted": {"student": {"best_step": 4}}}))
    for kind in ("gguf_f32", "onnx"):
        assert main(["export", str(home / "run"), f"export={kind}", *RECHECK, "export.bound.agreement=0.9"]) == 0
    return home


def text(home):
    words = [f"data.path={home / 'text.jsonl'}", "data.tokenizer=null", "data.sequence_length=32", "data.batch_size=4"]
    return [*words, "data.validation=0.1", "data.test=0.1", f"data.cache={home}"]


def found(place, *words):
    arguments = Arguments("evaluate", words=(str(place),), overrides=words)
    return find_exported(arguments, compose(arguments))


def numbers(folder, subject):
    return {row.metric: row.value for row in read(folder / METRICS) if row.subject == subject}


@pytest.mark.parametrize("name", [GGUF, ONNX])
def test_a_runs_export_brings_the_runs_data_and_teacher(home, name):
    place = home / "run" / "exports" / name
    (file,) = [one for one in place.iterdir() if one.suffix in (".gguf", ".onnx")]
    for word in (place, file):
        target = found(word)
        assert target.models == {name: str(file if name == GGUF else place)}
        assert target.steps == {name: 4}
        assert target.run is not None
        assert target.run[0] == home / "run"
        assert target.config["teacher"]["path"] == str(home / "teacher")
        assert target.word == str(place)
        assert target.exported is not None
        assert target.exported["subject"] == name


def test_an_export_elsewhere_is_a_model_by_itself(home, tmp_path):
    shutil.copytree(home / "run" / "exports" / ONNX, tmp_path / "alone")
    target = found(tmp_path / "alone", "name=mine")
    assert target.run is None
    assert target.models == {"mine": str(tmp_path / "alone")}
    assert target.exported is not None
    assert target.exported["format"] == "onnx"


def test_what_is_no_export_is_found_as_before(home, tmp_path):
    assert found(home / "run").exported is None
    assert found("org/name").models == {"student": "org/name"}
    bare = tmp_path / "bare.gguf"
    shutil.copy(next((home / "run" / "exports" / GGUF).glob("*.gguf")), bare)
    assert found(bare).exported is None
    assert found(bare).models == {"student": str(bare)}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", None),
        ("subject", 3),
        ("file", None),
        ("file", "gone.onnx"),
        ("file", "../../../text.jsonl"),
        ("vocabulary", "many"),
    ],
)
def test_a_broken_export_is_a_line(home, tmp_path, key, value, capsys):
    shutil.copytree(home / "run" / "exports" / ONNX, tmp_path / "broken")
    facts = json.loads((tmp_path / "broken" / "export.json").read_text())
    (tmp_path / "broken" / "export.json").write_text(json.dumps(facts | {key: value}))
    with pytest.raises(BadInput):
        exported_at(str(tmp_path / "broken"))
    for verb in ("evaluate", "chat"):
        assert main([verb, str(tmp_path / "broken")]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert str(tmp_path / "broken") in told


def test_a_folder_that_is_none_is_a_line(home, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").write_text("no model")
    for word in (tmp_path / "none", tmp_path / "none" / "notes.txt"):
        for verb in ("evaluate", "chat"):
            extra = [*text(home)] if verb == "evaluate" else []
            assert main([verb, str(word), *extra]) == 2
            assert capsys.readouterr().err.count("\n") == 1


def test_a_files_numbers_are_its_students(home, tmp_path):
    """Within what a re-check of float32 files allows, beside the run's own teacher; and its re-check's own numbers."""
    into, exports = tmp_path / "apart", home / "run" / "exports"
    for word in (home / "run", exports / GGUF, exports / ONNX):
        assert main(["evaluate", str(word), f"into={into}", *QUICK]) == 0
    student = numbers(into, "student")
    for name in (GGUF, ONNX):
        own, before = numbers(into, name), numbers(exports / name, name)
        for metric in ("nats_per_token", "bits_per_byte", "kl_to_teacher", "top1_agreement"):
            assert own[metric] == pytest.approx(student[metric], abs=1e-4), metric
        for metric in ("nats_per_token", "kl_to_teacher", "disk_bytes"):
            assert own[metric] == pytest.approx(before[metric], abs=1e-4), metric


def test_an_onnx_folder_is_measured_alone(home, tmp_path):
    shutil.copytree(home / "run" / "exports" / ONNX, tmp_path / "alone")
    words = [*text(home), f"paths.cache={home}", f"into={tmp_path / 'told'}", "name=mine", *QUICK]
    assert main(["evaluate", str(tmp_path / "alone"), *words]) == 0
    mine, before = numbers(tmp_path / "told", "mine"), numbers(home / "run", ONNX)
    assert mine["nats_per_token"] == pytest.approx(before["nats_per_token"], abs=1e-4)
    assert "kl_to_teacher" not in mine
    assert "has not finished" not in (tmp_path / "told" / "report.md").read_text()
