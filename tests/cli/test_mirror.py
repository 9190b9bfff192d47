"""A report in the tracker: its tables as numbers; a tracker that cannot show one costs a line."""

from pathlib import Path

from distill.cli.mirror import measured, mirrored, sheets
from distill.reports.document import Document, Heading, Item, Section, Table
from distill.reports.report import Written
from distill.rows import METRICS, Row, append

TABLE = Table(
    (Heading("", numeric=False), Heading("bits per byte", "", "↓"), Heading("bits per byte", "", "↓")),
    ((Item("student"), Item("2.25", 2.2512, "±0.01"), Item("—")),),
)
DOCUMENT = Document("t", "k", "h", "s", (), (Section("Result", (TABLE, TABLE)), Section("Data", (TABLE,))))


def test_tables_keep_the_numbers_behind_the_figures_and_columns_stay_apart():
    told = sheets(DOCUMENT)
    assert list(told) == ["Result", "Result, 2"]
    assert told["Result"].columns == ("model", "bits per byte", "bits per byte (2)")
    assert told["Result"].rows == (("student", 2.2512, "—"),)


def test_the_final_numbers_of_a_run_have_plain_names(tmp_path):
    def row(subject, metric, value, split):
        return Row(subject, metric, value, "1", split, 4, 0)

    rows = [row("student", "bits_per_byte", 2.5, "test"), row("student", "bits_per_byte", 2.25, "test")]
    rows += [row("control", "bits_per_byte", 2.75, "test"), row("student", "parameters", 10, "none")]
    rows += [row("student", "ece", float("nan"), "test"), row("student", "reliability/03/accuracy", 1, "test")]
    append(tmp_path / METRICS, [*rows, row("student", "nats_per_token", 3, "validation")])
    assert measured(tmp_path) == {"test/bits_per_byte": 2.25, "control/test/bits_per_byte": 2.75, "parameters": 10}
    assert measured(tmp_path / "a sweep") == {}


def test_a_tracker_that_fails_costs_a_line(tmp_path, monkeypatch, capsys):
    from distill.training.tracking import Wandb

    def show(*_):
        raise ConnectionError("no such host")

    monkeypatch.setattr(Wandb, "show", show)
    page = tmp_path / "report.html"
    mirrored(
        Written(DOCUMENT, page, Path("m")), tmp_path, {"logger": {"_target_": "distill.training.tracking.Wandb"}}, ()
    )
    assert f"does not show the report (no such host); it lies in {page}" in capsys.readouterr().err


def test_a_tracker_without_a_place_for_reports_is_not_asked(tmp_path, monkeypatch):
    from distill.training.tracking import Csv

    monkeypatch.setattr(Csv, "show", lambda *_: 1 / 0)
    mirrored(
        Written(DOCUMENT, tmp_path, tmp_path), tmp_path, {"logger": {"_target_": "distill.training.tracking.Csv"}}, ()
    )
