"""distill export and distill chat from the command line, on a run folder made by hand: no training."""

import copy
import io
import json
import re
import sys

import pytest
import yaml

from distill.__main__ import main
from distill.cli.arguments import Arguments
from distill.cli.chat_reasons import DATA, asking
from distill.cli.compose import compose
from distill.export.model_card import number
from distill.export.speaker import Speaker
from distill.rows import METRICS, Row, append, read

pytest.importorskip("gguf", reason="gguf is in the extra gguf")

QUICK = [
    "recheck.memory=false",
    "recheck.rounds=1",
    "recheck.prompt_tokens=8",
    "recheck.new_tokens=2",
    "export.bound.kl=0.5",
    "export.bound.agreement=0.5",
    "export.bound.bits_per_byte=0.5",
]
NUMBERS = [
    Row("teacher", "bits_per_byte", 2.0312345, "bits/byte", "test", 0, 0, 90, low=1.9812, high=2.0812),
    Row("student", "bits_per_byte", 2.4198765, "bits/byte", "test", 4, 0, 90),
    Row("control", "bits_per_byte", 2.6176543, "bits/byte", "test", 4, 0, 90),
    Row("student", "loss/kd", 3.3331, "nats/token", "train", 4, 0, 90),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_llama, tokenizer):
    """``run/`` with student and control, ``teacher/`` and a text."""
    home = tmp_path_factory.mktemp("export")
    lines = [
        json.dumps({"text": f"Document {n}: the quick brown fox {n % 7} jumps over a dog. " * 3}) for n in range(60)
    ]
    (home / "text.jsonl").write_text("\n".join(lines) + "\n")
    for name, seed in (("run/student", 0), ("run/control", 1), ("teacher", 2)):
        tiny_llama(width=32, seed=seed).save_pretrained(home / name)
        tokenizer.save_pretrained(home / name)
    words = [f"data.path={home / 'text.jsonl'}", "data.tokenizer=null", "data.sequence_length=32", "data.batch_size=4"]
    words += ["data.validation=0.1", "data.test=0.1", "data.share=1.0", f"data.cache={home}", f"paths.cache={home}"]
    words += ["teacher=live", f"teacher.path={home / 'teacher'}", "logger=none"]
    config = compose(Arguments("train", overrides=tuple(words))).config
    (home / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    told = {
        "command": ["distill", "train", *words[:1]],
        "fitted": {"student": {"best_step": 4}},
        "formula": "total = kd",
    }
    (home / "run" / "provenance.json").write_text(json.dumps(told))
    return home


@pytest.fixture
def run(home):
    (home / "run" / METRICS).unlink(missing_ok=True)
    append(home / "run" / METRICS, NUMBERS)
    return home / "run"


def talk(monkeypatch, capsys, target, *lines, words=()):
    """What is shown when these lines are typed into a pipe."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(line + "\n" for line in lines)))
    assert main(["chat", str(target), "new_tokens=4", *words]) == 0
    return capsys.readouterr().out


def test_a_file_its_card_and_its_rows(run, capsys):
    assert main(["export", str(run), "export=gguf_q8_0", *QUICK]) == 0
    told = capsys.readouterr().out
    folder = run / "exports" / "student-gguf-q8_0"
    assert (folder / "model-Q8_0.gguf").is_file()
    assert "kl_to_student" in told
    assert "licence UNKNOWN" in told
    own = [row for row in read(run / METRICS) if row.subject == "student-gguf-q8_0"]
    assert {row.step for row in own} == {4}
    assert own == read(folder / METRICS)
    card = (folder / "README.md").read_text()
    for row in read(run / METRICS):
        if row.split in ("test", "none"):
            assert number(row.value) in card, row
    assert "total = kd" in card
    assert "distill export" in card


def test_the_report_shows_the_file_beside_the_student(run, capsys):
    assert main(["export", str(run), "export=gguf_f32", "subject=control", *QUICK]) == 0
    assert (run / "exports" / "control-gguf-f32").is_dir()
    assert main(["report", str(run)]) == 0
    assert "control-gguf-f32" in (run / "report.md").read_text().replace("\\", "")


def test_again_it_replaces_its_own_folder_and_no_other(run, capsys, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    words = ["export", str(run), "export=gguf_f32", *QUICK]
    assert main([*words, f"into={tmp_path}"]) == 2
    assert "no export" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "precious"
    for _ in range(2):
        assert main([*words, f"into={tmp_path / 'new'}", "licence=mit"]) == 0
    assert (tmp_path / "new" / "README.md").read_text().startswith("---\nlicense: mit\n")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_beyond_its_bound_nothing_is_left_and_the_code_is_3(run, capsys, tmp_path):
    before = (run / METRICS).read_bytes()
    place = tmp_path / "folder" / "out"
    words = ["export", str(run), "export=gguf_q4_0", *QUICK, "export.bound.kl=1e-9", f"into={place}"]
    assert main(words) == 3
    told = capsys.readouterr().err
    assert re.search(r"kl_to_student: [\d.e-]+: .*at most 1e-09.*export\.bound\.kl", told)
    assert told.count("\n") == 1
    assert not place.parent.exists()
    assert (run / METRICS).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["subject=controll"], "student"),
        (["licence=<b>"], "licence"),
        (["export=gguff"], "gguf"),
        (["export.weights=q5"], "export.weights"),
        (["export.bound.kl=-1"], "export.bound.kl"),
        (["into=x", "-m"], "-m"),
    ],
)
def test_bad_input_is_told_in_a_line(run, capsys, words, named):
    exports = sorted(path.name for path in run.glob("exports/*"))
    assert main(["export", str(run), *(["export=gguf"] if "export=gguff" not in words else []), *words]) == 2
    assert named in capsys.readouterr().err
    assert sorted(path.name for path in run.glob("exports/*")) == exports


def test_a_models_folder_is_exported_too(home, capsys):
    words = [f"data.path={home / 'text.jsonl'}", "data.tokenizer=null", f"paths.root={home}", f"paths.cache={home}"]
    model = str(home / "teacher")
    assert main(["export", model, "export=huggingface", *QUICK[:4], *words, "data.sequence_length=32"]) == 0
    (folder,) = home.glob("export-*")
    assert (folder / "export.json").is_file()
    assert main(["export", model, "export=huggingface", "--dry-run", *words]) == 0
    assert str(folder) in capsys.readouterr().out


def test_chat_through_a_pipe(run, monkeypatch, capsys):
    told = talk(
        monkeypatch, capsys, run, "The quick", "/tokens", "/teacher", "A dog", "/nonsense", "", "/quit", "unheard"
    )
    assert "no chat template" in told
    assert "KL" in told
    assert "student: " in told
    assert "teacher: " in told
    assert "no such command" in told


def test_a_student_without_reasons_says_so(run, monkeypatch, capsys):
    assert "did not learn to give reasons" in talk(monkeypatch, capsys, run, "A dog", "/why")


def test_a_student_of_two_tasks_is_asked_as_it_was_taught(run, monkeypatch, capsys):
    """The label by its prefix, the reasons by theirs; what the run's data says, not what is typed."""
    told, prompts = yaml.safe_load((run / "config.yaml").read_text()), []
    reasoned = copy.deepcopy(told)
    reasoned["data"] = compose(Arguments("train", overrides=("data=rationale",))).config["data"]

    def answer(_speaker, prompt, _length):
        prompts.append(prompt)
        yield "yes"

    monkeypatch.setattr(Speaker, "answer", answer)
    (run / "config.yaml").write_text(yaml.safe_dump(reasoned))
    try:
        assert "there is no answer yet" in talk(monkeypatch, capsys, run, "/why", "Why?", "/why")
    finally:
        (run / "config.yaml").write_text(yaml.safe_dump(told))
    assert prompts == ["[label] Why?\n", "[rationale] Why?\n"]


def test_how_a_student_is_asked():
    single = asking({"data": {"_target_": DATA, "form": "single", "behind": "\n"}})
    assert (single.prompt("q"), single.why("q")) == ("q\n", None)
    assert "as one text" in single.refusal
    assert asking(None).prompt("q") == "q"


def test_chat_with_an_export_whose_run_knows_the_teacher(run, monkeypatch, capsys):
    assert main(["export", str(run), "export=gguf_f32", *QUICK]) == 0
    capsys.readouterr()
    told = talk(monkeypatch, capsys, run / "exports" / "student-gguf-f32", "/teacher", "A dog")
    assert "gguf-f32: " in told
    assert "teacher: " in told


def test_chat_without_a_teacher_says_so(home, monkeypatch, capsys):
    told = talk(monkeypatch, capsys, home / "teacher", "/teacher", "/tokens", "A dog", "/tokens")
    assert "nothing here knows one" in told
    assert "there is no answer yet" in told


def test_what_a_model_writes_cannot_reach_the_terminal(home, monkeypatch, capsys, tiny_llama, tokenizer, tmp_path):
    """A model that writes nothing but the escape character."""
    import torch

    escape = tokenizer("\x1b").input_ids[0]
    model = tiny_llama(width=32, tied=False)
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.model.norm.weight.fill_(1.0)
        model.model.embed_tokens.weight.fill_(1.0)
        for layer in model.model.layers:
            layer.mlp.down_proj.weight.zero_()
            layer.self_attn.o_proj.weight.zero_()
        model.lm_head.weight[escape] = 1.0
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    told = talk(monkeypatch, capsys, tmp_path, "hello", "/tokens")
    assert r"\x1b\x1b" in told
    assert "\x1b\x1b" not in told


def test_an_onnx_file_is_exported_within_its_own_bounds_and_talked_to(run, monkeypatch, capsys):
    """The bounds of ``conf/export/onnx_int8.yaml`` as they stand, on a random model; and no torch in what answers."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is in the extra onnx")
    words = [word for word in QUICK if "agreement" in word or word.startswith("recheck")]
    assert main(["export", str(run), "export=onnx_int8", *words]) == 0  # likeliest tokens of near-equal ones may change
    (divergence,) = [row.value for row in read(run / METRICS) if row.metric == "kl_to_student"]
    assert divergence < 0.02
    capsys.readouterr()
    told = talk(monkeypatch, capsys, run / "exports" / "student-onnx-int8", "The quick", "/tokens", "/teacher", "A dog")
    assert "onnx-int8: " in told
    assert "teacher: " in told
    assert "KL" in told
