"""A teacher with a tokenizer of its own, from the command line to the report, compared in bits per byte alone."""

import json

import pytest

from distill.rows import METRICS, read

WHAT = {
    "bytes": ("teacher=nursery_bytes", "alignment=byte_spans"),
    "merges": (
        "teacher=nursery_bpe",
        "alignment=byte_spans",
        "objective=likelihood",
        "teacher.recipe.tokenizer.size=270",
    ),
    "rank": ("teacher=nursery_bytes", "alignment=sorted", "objective=uld"),
    "edits": ("teacher=nursery_bpe", "alignment=minimum_edit", "teacher.recipe.tokenizer.size=270"),
    "dual": ("teacher=nursery_bytes", "alignment=byte_spans", "objective=dual_space"),
}


@pytest.mark.parametrize("kind", WHAT)
def test_it_teaches_is_measured_on_its_own_tokens_and_compared_in_bits_per_byte(kind, distill, laboratory):
    folder = laboratory / f"other-{kind}"
    words = (*WHAT[kind], "control=steps", "teacher.recipe.sequence_length=64", f"paths.run={folder}")
    assert distill("train", *words) == 0
    rows = read(folder / METRICS)
    bits = {row.subject: row.value for row in rows if row.metric == "bits_per_byte"}
    assert set(bits) == {"teacher", "student", "control"}
    assert not [row for row in rows if row.metric in ("kl_to_teacher", "top1_agreement")]
    heard = [row for row in rows if row.metric == "alignment/heard"]
    if kind != "rank" or heard:
        assert heard
        assert all(0 < row.value <= 1 and row.unit == "fraction" for row in heard)
    told = json.loads((folder / "provenance.json").read_text())
    assert told["exit"] == 0


def test_equal_tokenizers_make_the_same_run(distill, laboratory):
    """A teacher without a tokenizer of its own: the alignment has nothing to do, and does nothing."""
    totals = []
    for alignment in ("identity", "byte_spans"):
        folder = laboratory / f"same-{alignment}"
        assert distill("train", f"alignment={alignment}", "control=none", f"paths.run={folder}") == 0
        rows = read(folder / METRICS)
        totals.append(
            [row.value for row in rows if row.subject == "student" and row.metric in ("loss/total", "kl_to_teacher")]
        )
    assert totals[0] == totals[1]
    assert totals[0]


def test_without_an_alignment_it_is_refused_before_it_is_trained(distill, laboratory, capsys):
    folder = laboratory / "refused"
    assert distill("train", "teacher=nursery_bytes", f"paths.run={folder}") == 2
    assert "alignment=byte_spans" in capsys.readouterr().err
    assert not folder.exists()


def test_a_run_with_two_tokenizers_is_evaluated_again(distill, laboratory):
    folder = laboratory / "again"
    words = ("teacher=nursery_bytes", "alignment=byte_spans", "control=none", "teacher.recipe.sequence_length=64")
    assert distill("train", *words, f"paths.run={folder}") == 0
    before = {row.subject: row.value for row in read(folder / METRICS) if row.metric == "bits_per_byte"}
    assert distill("evaluate", str(folder)) == 0
    after = {row.subject: row.value for row in read(folder / METRICS) if row.metric == "bits_per_byte"}
    assert after == pytest.approx(before)
