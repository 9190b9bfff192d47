"""A sweep over a stored teacher asks once, gives what the live one gives, and its store can be looked after."""

import gc
import json
import re
import shutil

import pytest

from distill.__main__ import main
from distill.cli.sources import CONF
from distill.rows import METRICS, read
from tests.end_to_end.conftest import write_corpus

SOURCE = "teacher.recipe."


@pytest.fixture
def stored(tiny):
    """The same overrides for a stored teacher."""
    return [word.replace(SOURCE, "teacher.source.recipe.") for word in tiny] + ["control=none"]


def passes(folder) -> int:
    return json.loads((folder / "student" / "fitted.json").read_text())["teacher_passes"]


def test_runs_from_the_store_are_the_live_run(tiny, stored, laboratory):
    bits = ("teacher=stored", "teacher.signal.dtype=float32")
    folders = [laboratory / f"from-{name}" for name in ("live", "first", "second")]
    assert main(["train", *tiny, "control=none", f"paths.run={folders[0]}"]) == 0
    for folder in folders[1:]:
        assert main(["train", *stored, *bits, f"paths.run={folder}"]) == 0
    weights = {(folder / "student" / "model.safetensors").read_bytes() for folder in folders}
    assert len(weights) == 1
    assert [passes(folder) for folder in folders] == [4, 4, 0]
    measured = [
        {(r.subject, r.metric): r.value for r in read(f / METRICS) if r.metric in ("kl_to_teacher", "bits_per_byte")}
        for f in folders
    ]
    assert measured[0] == measured[1] == measured[2]


def test_a_store_that_was_filled_ahead_is_not_asked(stored, laboratory, capsys):
    assert main(["cache", *stored]) == 0
    told = capsys.readouterr().out
    assert "tokens asked in 4 passes" in told
    assert "4 passes of the teacher at most, about" in told
    assert told.index("by calculation") < told.index("s at the pace of the first batch, which was measured")
    assert main(["cache", *stored]) == 0
    assert " 0 of them not stored yet: 0 B" in capsys.readouterr().out
    assert main(["train", *stored, "teacher=stored", f"paths.run={laboratory / 'filled'}"]) == 0
    assert passes(laboratory / "filled") == 0


def test_a_store_is_verified_listed_and_pruned(stored, laboratory, capsys):
    assert main(["cache", *stored]) == 0
    assert main(["cache", "verify", *stored]) == 0
    assert "tokens asked again: error at most 0.000" in capsys.readouterr().out
    assert main(["cache", "info"]) == 0
    assert "KeptStates" in capsys.readouterr().out
    for shard in (laboratory / "cache" / "signals").glob("*/shards/*.shard"):
        data = bytearray(shard.read_bytes())
        data[-1] ^= 1
        shard.write_bytes(data)
    assert main(["cache", "verify", *stored]) == 1
    assert "has another checksum; removed" in capsys.readouterr().out.replace("\n", " ")
    gc.collect()  # a command ends its process; here its stores would be in use until somebody collects them
    listed = len(list((laboratory / "cache" / "signals").glob("*/store.json")))
    assert main(["cache", "prune", "keep_gib=0", "--dry-run"]) == 0
    assert f"{listed} of {listed} stores would go" in capsys.readouterr().out
    assert main(["cache", "prune", "keep_gib=0"]) == 0
    assert f"{listed} of {listed} stores removed" in capsys.readouterr().out
    assert not list((laboratory / "cache" / "signals").glob("*/store.json"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["train", "teacher=stored", "signal@teacher.signal=topk", "objective=hinton"],
            "drawn at 1.0 and tells no other",
        ),
        (["train", "teacher=stored", "signal@teacher.signal=sampled"], "needs 'logits' of the teacher"),
        (["train", "objective=random_sampling"], "needs 'sampled' of the teacher"),
        (["train", "teacher=stored", "objective=pkd"], "keep them (signal@teacher.signal=layers)"),
        (["cache", "prune"], "neither is set"),
        (["cache", "burn"], "cache takes one of verify, info, prune"),
        (["cache", "unused_day=3"], "did you mean unused_days"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(words, told, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_a_disk_that_is_too_small_is_told_before_anything_is_asked(stored, laboratory, capsys, monkeypatch):
    usage = shutil.disk_usage(laboratory)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    assert main(["cache", *stored, "teacher.signal.dtype=bfloat16"]) == 4
    assert "the store needs" in capsys.readouterr().err


def test_states_of_layers_train_as_from_the_live_teacher(tiny, stored, laboratory):
    words = ["objective=pkd", "objective.losses.patient.layers=uniform", "measure=none", "control=none", "logger=none"]
    both = [laboratory / f"pkd-{name}" for name in ("live", "stored")]
    assert main(["train", *tiny[:-7], *words, f"paths.run={both[0]}"]) == 0
    kept = ["teacher=stored", "signal@teacher.signal=layers", "teacher.signal.dtype=float32"]
    assert main(["train", *stored[:-8], *kept, *words, f"paths.run={both[1]}"]) == 0
    assert len({(folder / "student" / "model.safetensors").read_bytes() for folder in both}) == 1


HITS = {
    "output folder": ["paths.root=elsewhere"],
    "run name": ["name=other"],
    "logger": ["logger=csv"],
    "workers": ["data.workers=2"],
    "devices": ["trainer.devices=2"],
    "what is logged": ["trainer.log_every_n_steps=7"],
    "cache folder": ["paths.cache=moved"],
    "a comment in a yaml": ["--config-dir=more", "teacher=commented"],
}


def test_what_changes_no_answer_hits(stored, laboratory, capsys):
    """One thing at a time: the same store is found, and nothing is missing in it."""
    assert main(["cache", *stored]) == 0
    shutil.copytree(laboratory / "cache", laboratory / "moved")
    (laboratory / "more" / "teacher").mkdir(parents=True)
    text = (CONF / "teacher" / "stored.yaml").read_text()
    (laboratory / "more" / "teacher" / "commented.yaml").write_text(f"# a comment\n{text}\n# and another\n")
    capsys.readouterr()
    for name, words in HITS.items():
        assert main(["cache", *stored, *words]) == 0
        assert ", 0 of them not stored yet: 0 B in" in capsys.readouterr().out, name
    for name, words in {"length": ["data.sequence_length=16"], "text": ["data.path=other.jsonl"]}.items():
        write_corpus(laboratory / "other.jsonl", seed=1)
        assert main(["cache", *stored, *words, "--dry-run"]) == 0
        assert ", 0 of them not stored yet" not in capsys.readouterr().out, name


def test_what_a_store_will_take_is_told_before(stored, laboratory, capsys):
    words = ["teacher=stored", "teacher.signal.dtype=bfloat16", "measure=none", "logger=none", "name=foretold"]
    assert main(["train", *stored[:-8], *words, "control=none", "--dry-run"]) == 0
    assert "what the teacher says of 512 tokens, asked once" in re.sub(r"[│\s]+", " ", capsys.readouterr().out)
    for number, expected in enumerate((r"asks about 5\d\d at most, 0\.0[1-9] MiB more", r"at most, 0\.00 MiB more")):
        assert (
            main(["train", *stored[:-8], *words, "control=none", f"paths.run={laboratory / f'foretold-{number}'}"]) == 0
        )
        assert re.search(expected, " ".join(capsys.readouterr().out.split()))


def test_topk_and_draws_train(stored, laboratory):
    for kind, objective in (("topk", "forward_kl"), ("sampled", "random_sampling")):
        folder = laboratory / f"from-{kind}"
        words = ("teacher=stored", f"signal@teacher.signal={kind}", f"objective={objective}", f"paths.run={folder}")
        assert main(["train", *stored, *words]) == 0
        assert {r.metric for r in read(folder / METRICS)} >= {"loss/kd", "kl_to_teacher"}
