"""Teachers of several kinds from the command line: trained where they have to be, refused where they cannot be."""

import json
import shutil

import pytest

from distill.__main__ import main
from distill.rows import METRICS, read


def small(place: str, layers: int = 1) -> list[str]:
    """A recipe of seconds at a place of the config."""
    sizes = {"steps": 6, "student.layers": layers, "student.width": 16, "student.heads": 2}
    return [f"{place}.recipe.{key}={value}" for key, value in sizes.items()]


@pytest.fixture
def train(tiny):
    """``train(*words)`` without controls; -> exit code."""
    plain = [word for word in tiny if not word.startswith("teacher.")]
    return lambda *words: main(["train", *plain, "control=none", *words])


def metrics(folder) -> set[str]:
    return {row.metric for row in read(folder / METRICS) if row.subject == "student"}


def test_an_ensemble_trains_its_members_and_logs_what_they_disagree_on(train, laboratory):
    folder = laboratory / "ensemble"
    members = small("teacher.teachers.first") + small("teacher.teachers.second", layers=2)
    assert train(f"paths.run={folder}", "teacher=ensemble", *members) == 0
    assert {"teachers/disagreement", "kl_to_teacher"} <= metrics(folder)
    assert json.loads((folder / "provenance.json").read_text())["hashes"]["teacher"]


def test_a_schedule_says_whose_turn_it_is_and_is_measured_beside_the_last(train, laboratory):
    folder = laboratory / "schedule"
    members = small("teacher.teachers.first") + small("teacher.teachers.second", layers=2)
    assert train(f"paths.run={folder}", "teacher=schedule", "teacher.at=[2]", *members) == 0
    turns = [row for row in read(folder / METRICS) if row.metric == "teachers/turn"]
    assert [(row.value, row.unit) for row in turns] == [(0, "count"), (0, "count"), (1, "count"), (1, "count")]
    assert any(row.subject == "teacher" and row.metric == "bits_per_byte" for row in read(folder / METRICS))


def test_a_student_may_be_its_own_teacher(train, laboratory):
    folder = laboratory / "own"
    assert train(f"paths.run={folder}", "teacher=ema_self", 'teacher.prompt="Document "', "control=both") == 0
    subjects = {row.subject for row in read(folder / METRICS)}
    assert subjects == {"student", "control", "control_compute"}  # its passes cost as much as the student's own


@pytest.fixture
def chain(train, laboratory):
    """The command of a chain in a folder of that name."""
    stage = [f"teacher.chain.stages.assistant.{key}" for key in ("layers=1", "width=16", "heads=2")]
    words = ["teacher=chain", *small("teacher.chain.source", layers=2), *stage]
    return lambda name: train(f"paths.run={laboratory / name}", *words)


def test_a_chain_is_a_run_in_a_run(chain, laboratory, capsys):
    folder = laboratory / "chain"
    assert chain("chain") == 0
    stage = folder / "stages" / "assistant"
    for run in (folder, stage):
        assert json.loads((run / "status.json").read_text())["state"] == "done"
        assert (run / "report.html").is_file()
    assert {row.subject for row in read(folder / METRICS)} == {"teacher", "student"}

    # stopped after its first stage: that stage is not done again
    weights = (stage / "student" / "model.safetensors").stat().st_mtime_ns
    expected = (folder / "student" / "model.safetensors").read_bytes()
    shutil.rmtree(folder / "student")
    (folder / "status.json").unlink()
    assert chain("chain") == 0
    assert "stages/assistant is finished" in capsys.readouterr().out
    assert (stage / "student" / "model.safetensors").stat().st_mtime_ns == weights
    assert (folder / "student" / "model.safetensors").read_bytes() == expected

    assert (
        main(["evaluate", str(folder), "measure=quick", "measure.model_measures={}", "measure.continuations=null"]) == 0
    )


@pytest.mark.parametrize("order", ["[]", "[nobody]", "[assistant,assistant]"])
def test_a_chain_of_unknown_stages_is_refused(train, laboratory, capsys, order):
    folder = laboratory / "refused"
    assert train(f"paths.run={folder}", "teacher=chain", f"teacher.chain.order={order}") == 2
    assert "teacher.chain.order" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["teacher@teacher.source=ema_self"], "answers otherwise from step to step"),
        (["teacher@teacher.source=schedule"], "answers otherwise from step to step"),
        (["teacher@teacher.source=ensemble", "teacher.source.route=domain"], "keep each teacher's word instead"),
    ],
)
def test_what_says_something_else_every_time_is_not_kept(train, capsys, words, told):
    assert train("teacher=stored", *words) == 2
    assert told in capsys.readouterr().err


def test_hidden_states_of_several_teachers_are_refused_before_anything_is_loaded(train, capsys):
    assert train("teacher=ensemble", "+loss@objective.losses.hint=hidden") == 2
    assert "Ensemble provides logits" in capsys.readouterr().err


@pytest.fixture
def served(train, laboratory):
    """The url of a run's student, and the folder of its tokenizer."""
    from distill.cli.arguments import parse
    from distill.cli.serve import opened

    folder = laboratory / "served"
    assert train(f"paths.run={folder}", *small("teacher")) == 0
    with opened(parse(["serve", str(folder), "port=0"])).running() as url:
        yield [f"url={url}", f"tokenizer={folder / 'student'}", "k=12"]


def test_a_student_learns_from_what_is_served(train, served, laboratory, capsys):
    folder = laboratory / "from a server"
    words = [f"teacher.{word}" for word in served]
    assert train(f"paths.run='{folder}'", "teacher=server", *words, "control=steps") == 0
    told = capsys.readouterr().out
    assert "12 likeliest tokens and one bucket" in told
    assert {row.subject for row in read(folder / METRICS)} == {"student", "control"}

    store = ["teacher=stored", "teacher@teacher.source=server", "signal@teacher.signal=topk", "teacher.signal.k=12"]
    kept = [*store, *(f"teacher.source.{word}" for word in served)]
    both = []
    for name in ("asked", "read"):
        assert train(f"paths.run={laboratory / name}", *kept) == 0
        both.append(json.loads((laboratory / name / "student" / "fitted.json").read_text()))
    assert [one["teacher_passes"] for one in both] == [4, 0]
    assert both[0]["best_value"] == both[1]["best_value"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["objective.temperature=2"], "the teacher's signal is drawn at 1.0"),
        (["+loss@objective.losses.hint=hidden"], "Server provides topk"),
        (["teacher.k=0"], "teacher.k"),
    ],
)
def test_what_a_server_does_not_tell_is_refused_without_asking_it(train, capsys, words, told):
    assert train("teacher=server", "teacher.url=http://127.0.0.1:9", *words) == 2
    assert told in capsys.readouterr().err


def test_a_store_of_what_a_server_does_not_tell_is_refused(train, capsys):
    assert train("teacher=stored", "teacher@teacher.source=server") == 2
    assert "write signal@teacher.signal=topk" in capsys.readouterr().err


@pytest.mark.parametrize("objective", ["forward_kl", "cross_entropy"])
def test_only_words_are_refused_with_the_remedy(train, capsys, objective):
    assert train("teacher=text", f"objective={objective}") == 2
    told = capsys.readouterr().err
    assert "distill generate" in told
    assert "teacher=none" in told


def test_preflight_ranks_and_writes_it_down(tiny, laboratory, capsys):
    plain = [word for word in tiny if not word.startswith("teacher.")]
    root = laboratory / "preflight"
    words = [*small("teacher"), "+teacher.recipe.seed=0,1", "pilot=2", "samples=32", f"paths.root={root}"]
    assert main(["preflight", *plain, *words]) == 0
    told = capsys.readouterr().out
    (folder,) = root.iterdir()
    found = {(row.subject, row.metric): row.value for row in read(folder / METRICS)}
    assert {subject for subject, _ in found} == {"0", "1", "no teacher"}
    metrics = ("bits_per_byte", "entropy", "ece", "accuracy", "agreement", "parameters", "memory", "store", "passes")
    assert all((str(seed), f"preflight/{metric}") in found for seed in (0, 1) for metric in metrics)
    order = sorted(("0", "1", "no teacher"), key=lambda name: found[name, "preflight/pilot"])
    assert [
        line.split(" ", 1)[1].split(":")[0] for line in told.splitlines() if line[:2] in ("1 ", "2 ", "3 ")
    ] == order
    for name in ("preflight.html", "preflight.md"):
        assert f"{order[0]} first" in (folder / name).read_text()


def test_every_run_says_of_its_teacher_before_it_begins(train, laboratory, capsys):
    assert train(f"paths.run={laboratory / 'head'}", *small("teacher")) == 0
    told = capsys.readouterr().out
    assert "at most 4 teacher passes, about" in told
    assert "(teacher=stored)" in told
    assert "held-out tokens:" in told
    fitted = json.loads((laboratory / "head" / "student" / "fitted.json").read_text())
    assert fitted["teacher_passes"] == 4  # what was asked beforehand is not counted
