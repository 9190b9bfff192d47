"""``distill train``: a student beside its controls, measured and reported; and what it does when run again."""

import json

import pytest

from distill.__main__ import main
from distill.rows import METRICS, read

TRAINED = ("student", "control", "control_compute")


@pytest.fixture
def run(distill, laboratory):
    """The folder of a finished tiny run (made by whichever test asks first)."""
    folder = laboratory / "whole"
    assert distill("train", f"paths.run={folder}") == 0
    return folder


def facts(folder, metric, split=None):
    found = [row for row in read(folder / METRICS) if row.metric == metric and split in (row.split, None)]
    return {row.subject: row.value for row in found}


def test_everything_a_run_folder_promises_is_there(run):
    for name in ("config.yaml", "provenance.json", "status.json", "metrics.jsonl", "samples.jsonl", "report.html"):
        assert (run / name).stat().st_size > 0
    assert json.loads((run / "status.json").read_text())["state"] == "done"
    for subject in TRAINED:
        assert (run / subject / "model.safetensors").is_file()
        assert (run / subject / "tokenizer.json").is_file()


def test_teacher_student_and_controls_are_measured_alike(run):
    for metric in ("bits_per_byte", "perplexity", "nats_per_token", "top1_agreement", "kl_to_teacher", "ece"):
        measured = facts(run, metric)
        assert set(measured) == {"teacher", *TRAINED}, metric
        assert all(value >= 0 for value in measured.values())
    for metric in ("parameters", "disk_bytes", "prefill_tokens_per_second", "decode_tokens_per_second", "peak_memory"):
        assert all(value > 0 for value in facts(run, metric).values()), metric
    assert facts(run, "kl_to_teacher")["teacher"] == 0.0
    assert facts(run, "top1_agreement")["teacher"] == 1.0


def test_provenance_says_where_everything_came_from(run):
    told = json.loads((run / "provenance.json").read_text())
    assert told["exit"] == 0
    assert told["command"][:2] == ["distill", "train"]
    assert set(told["hashes"]) == {"data", "teacher", "tokenizer"}
    assert "KL(p ‖ q)" in told["formula"]
    assert "@misc" in told["citations"]
    splits = told["data"]["splits"].values()
    assert told["data"]["rows"] == sum(s["documents"] for s in splits) + sum(told["data"]["dropped"].values())


def test_the_student_loads_without_this_package(run):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(run / "student") for kind in (AutoModelForCausalLM, AutoTokenizer))
    ids = tokenizer("teacher student", return_tensors="pt").input_ids
    assert model(ids).logits.shape[-1] == len(tokenizer)


def test_the_same_command_again_trains_nothing_and_shows_the_report(run, distill, capsys):
    before = (run / METRICS).read_bytes()
    assert distill("train", f"paths.run={run}") == 0
    assert "is finished" in capsys.readouterr().out
    assert (run / METRICS).read_bytes() == before


def test_another_config_in_the_same_folder_is_refused(run, distill, capsys):
    assert distill("train", f"paths.run={run}", "seed=5") == 2
    told = capsys.readouterr().err
    assert "holds another run" in told
    assert "seed" in told
    assert told.count("\n") == 1


def test_other_data_under_the_same_name_is_refused(distill, laboratory, capsys):
    from tests.end_to_end.conftest import write_corpus

    write_corpus(laboratory / "moving.jsonl", seed=1)
    words = ("data.path=moving.jsonl", f"paths.run={laboratory / 'moving'}", "control=none")
    assert distill("train", *words) == 0
    (laboratory / "moving" / "status.json").unlink()
    write_corpus(laboratory / "moving.jsonl", seed=2)
    assert distill("train", *words) == 2
    assert "the data is not the one" in capsys.readouterr().err


def test_the_teacher_is_trained_once(run, distill, laboratory):
    made = list((laboratory / "cache" / "nursery").glob("*/teacher/model.safetensors"))
    before = {path: path.stat().st_mtime_ns for path in made}
    assert distill("train", f"paths.run={laboratory / 'other-seed'}", "seed=1", "control=none") == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    told = [facts(folder, "nats_per_token", "test") for folder in (run, laboratory / "other-seed")]
    assert told[0]["teacher"] == told[1]["teacher"]


def test_weight_zero_is_plain_cross_entropy_bit_for_bit(run, distill, laboratory):
    words = ("objective.losses.kd.weight=0", "objective.losses.ce.weight=1", "control=none")
    assert distill("train", f"paths.run={laboratory / 'untaught'}", *words) == 0
    untaught, control = laboratory / "untaught" / "student", run / "control"
    assert (untaught / "model.safetensors").read_bytes() == (control / "model.safetensors").read_bytes()


def test_another_teacher_teaches_something_else(run, distill, laboratory):
    assert distill("train", f"paths.run={laboratory / 'swapped'}", "teacher.recipe.seed=9", "control=none") == 0
    losses = [facts(folder, "loss/kd") for folder in (run, laboratory / "swapped")]
    assert losses[0]["student"] != losses[1]["student"]


def test_without_a_teacher_there_is_no_control(tiny, laboratory):
    folder = laboratory / "without_a_teacher"
    words = ("data.path=corpus.jsonl", "data.share=1.0", "teacher=none", "objective=cross_entropy", "control=none")
    assert main(["train", *words, "debug=fast", "logger=none", "measure=none", f"paths.run={folder}"]) == 0
    assert {row.subject for row in read(folder / METRICS)} == {"student"}


@pytest.mark.parametrize("logger", ["wandb", "csv", "tensorboard"])
def test_a_tracker_is_a_mirror_of_the_rows(distill, laboratory, logger, capsys):
    folder = laboratory / f"tracked-{logger}"
    assert distill("train", f"paths.run={folder}", f"logger={logger}", "control=none") == 0
    traces = {"wandb": "offline-run-*/*.wandb", "csv": "**/metrics.csv", "tensorboard": "**/events*"}
    assert list((folder / logger).glob(traces[logger]))
    assert "tracker" not in capsys.readouterr().err
    if logger == "wandb":  # the report joins the run that was trained in this very process
        assert list((folder / logger).glob("offline-run-*/files/media/html/**/*.html"))
    assert "loss/kd" in {row.metric for row in read(folder / METRICS)}


def test_a_student_may_begin_as_a_teacher_that_is_trained_first(distill, laboratory):
    folder = laboratory / "own_layers"
    drop = ["student=layer_drop", "student.path=null", "student.every=1", "~student.layers", "~student.width"]
    assert (
        distill("train", *drop, "~student.heads", "control=none", "optim.learning_rate=1e-12", f"paths.run={folder}")
        == 0
    )
    assert facts(folder, "bits_per_byte")["student"] == facts(folder, "bits_per_byte")["teacher"]


def test_a_tracker_that_does_not_open_stops_nothing(distill, laboratory, monkeypatch, capsys):
    from distill.training.tracking import Csv

    def opens(*_):
        raise ImportError("no module named csv")

    monkeypatch.setattr(Csv, "open", opens)
    folder = laboratory / "untracked"
    assert distill("train", f"paths.run={folder}", "logger=csv", "control=none") == 0
    assert "the tracker does not open (no module named csv)" in capsys.readouterr().err
    assert facts(folder, "loss/kd")
