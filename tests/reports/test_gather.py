"""Whatever lies in a folder is read or said to be unreadable; nothing is guessed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import BadInput
from distill.reports.gather import gather, read_run
from distill.rows import METRICS


def test_a_run_a_sweep_and_a_folder_of_runs(run_folder: Path, sweep_folder: Path) -> None:
    assert gather([run_folder]).single is not None
    sweep = gather([sweep_folder])
    assert len(sweep.runs) == 36
    assert sweep.keys == ("objective.temperature", "objective.losses.kd.weight", "teacher", "seed")
    assert sweep.command == "distill train -m …"
    assert sweep.runs[0].swept["teacher"] == "nursery_small"
    assert len(gather([sweep_folder / "runs"]).runs) == 36
    assert len(gather([run_folder, run_folder]).runs) == 1


def test_planned_runs_that_have_not_begun_are_queued(tmp_path: Path, make_sweep: Callable[..., Path]) -> None:
    sweep = make_sweep(tmp_path / "s", seeds=(0,), temperatures=(1.0,), teachers=("nursery",), steps=4)
    plan = json.loads((sweep / "sweep.json").read_text())
    (sweep / "sweep.json").write_text(json.dumps({**plan, "runs": [*plan["runs"], "run-late"]}))
    late = gather([sweep]).runs[-1]
    assert (late.name, late.state, late.rows) == ("run-late", "queued", ())


def test_a_killed_writer_costs_its_last_line_only(run_folder: Path, tmp_path: Path) -> None:
    whole = (run_folder / METRICS).read_bytes()
    (tmp_path / METRICS).write_bytes(whole[:-20])
    (tmp_path / "samples.jsonl").write_text('{"subject": "student", "prompt": "a", "text": "b"}\n{"subject": "stu')
    run = read_run(tmp_path)
    assert len(run.rows) == whole.count(b"\n") - 1
    assert len(run.samples) == 1
    assert not run.problems


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.yaml", b"a: [1", "config.yaml"),
        ("config.yaml", b"- 1\n", "not a mapping"),
        ("provenance.json", b"{", "provenance.json"),
        ("provenance.json", b"\xff\xfe", "provenance.json"),
        ("status.json", b"[]", "not a mapping"),
        ("samples.jsonl", b"{}\n", "samples.jsonl:1"),
        (METRICS, b"{}\n", f"{METRICS}:1"),
        (METRICS, b"\xff\n", "utf-8"),
    ],
)
def test_a_broken_file_is_a_problem_of_its_run(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    problems = read_run(tmp_path).problems
    assert len(problems) == 1
    assert said in problems[0]


def test_one_broken_run_hides_no_other(tmp_path: Path, run_folder: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / METRICS).write_text("{}\n")
    assert [len(run.problems) for run in gather([run_folder, bad]).runs] == [0, 1]
    with pytest.raises(BadInput, match=f"{METRICS}:1"):
        gather([bad])


def test_what_holds_no_run_is_refused(tmp_path: Path) -> None:
    for folder, said in ((tmp_path, "holds no run"), (tmp_path / "missing", "no such folder")):
        with pytest.raises(BadInput, match=said):
            gather([folder])
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(BadInput, match=r"sweep\.json"):
        gather([tmp_path])


def test_a_job_cannot_name_a_folder_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"swept": {}, "runs": ["../../etc"]}))
    assert gather([tmp_path]).runs[0].folder == tmp_path / "runs" / "etc"


def test_secrets_of_a_careless_writer_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("wandb: {api_key: abcdefghijklmnop}\n")
    assert "abcdefghijklmnop" not in str(read_run(tmp_path).config)


def test_an_undefined_number_is_never_the_best(tmp_path: Path) -> None:
    lines = [
        {"subject": "student", "metric": "nats_per_token", "value": value, "unit": "nats/token", "split": "validation",
         "step": step, "seed": 0}
        for step, value in enumerate((3.0, None, 2.5, None))
    ]  # fmt: skip
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    best = read_run(tmp_path).best("student")
    assert best is not None
    assert (best.step, best.value) == (2, 2.5)
