"""Both files of a report state the same facts, every measured number stands in metrics.jsonl, nothing is hidden."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from distill.errors import ResourceStop
from distill.reports.document import Document, Figure, Item, Pairs, Table
from distill.reports.report import Written, write
from distill.rows import METRICS, read

MEASURED = ("Result", "Learning curves", "Calibration", "Other measures")
"""Sections whose numbers are rows, not computed from rows."""


class Cells(HTMLParser):
    """The text of every table cell, without the small type."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = self.small = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "td":
            self.inside = True
            self.found.append("")
        self.small = self.small or tag == "small"

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "td"
        self.small = self.small and tag != "small"

    def handle_data(self, data: str) -> None:
        if self.inside and not self.small:
            self.found[-1] += data


def tables(document: Document, *titles: str) -> Iterator[Table]:
    for section in document.sections:
        if not titles or section.title in titles:
            for block in section.blocks:
                if isinstance(block, Table):
                    yield block
                if isinstance(block, Figure) and block.numbers:
                    yield block.numbers


def items(document: Document, *titles: str) -> list[Item]:
    return [item for table in tables(document, *titles) for row in table.rows for item in row]


def in_markdown(text: str) -> list[str]:
    """The text of every table cell."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [
        "".join(child.content for child in token.children or ())
        for before, token in pairwise(tokens)
        if before.type == "td_open"
    ]


def told_in_tables(document: Document) -> Iterator[str]:
    """What Markdown's tables have to say, in order: cells with their details, names with their values."""
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Pairs):
                yield from (part for pair in block.pairs for part in pair)
            table = block.numbers if isinstance(block, Figure) else block
            if isinstance(table, Table):
                for item in (item for row in table.rows for item in row):
                    yield f"{item.text} ({item.detail})" if item.detail else item.text


@pytest.fixture(scope="module")
def of_run(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write([run_folder], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def of_sweep(sweep_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write([sweep_folder], tmp_path_factory.mktemp("report"))


def test_every_measured_number_is_a_row(run_folder: Path, of_run: Written) -> None:
    rows = read(run_folder / METRICS)
    known = {row.value for row in rows}
    differences = next(t for t in tables(of_run.document, "Result") if t.headings[0].title.startswith("student"))
    derived = {item for row in differences.rows for item in row}
    told = [item.value for item in items(of_run.document, *MEASURED) if item not in derived and item.value is not None]
    assert len(told) > 200
    assert set(told) <= known


def test_every_point_of_a_curve_is_a_row(run_folder: Path, of_run: Written) -> None:
    known = {f"{row.value:.6g}" for row in read(run_folder / METRICS)}
    page = of_run.html.read_text()
    points = [value for series in re.findall(r'data-ys="([^"]*)"', page) for value in series.split()]
    assert len(points) > 1000
    assert set(points) <= known


def test_texts_are_their_values(of_run: Written) -> None:
    """What is printed is the value to half a unit of its last digit, in the column's unit."""
    scales = {"k": 1e3, "kB": 1e3, "k tokens/s": 1e3, "M": 1e6, "MB": 1e6, "%": 0.01}
    (table, *_) = tables(of_run.document, "Result")
    for row in table.rows:
        for heading, item in zip(table.headings[1:], row[1:], strict=True):
            assert item.value is not None
            scale = scales.get(heading.unit, 1.0)
            decimals = len(item.text.partition(".")[2])
            assert float(item.text) * scale == pytest.approx(item.value, abs=0.5001 * 10**-decimals * scale)


def test_differences_and_worth_are_differences_of_rows(run_folder: Path, of_run: Written) -> None:
    test = {(r.subject, r.metric): r.value for r in read(run_folder / METRICS) if r.split == "test"}
    _, differences, *_ = tables(of_run.document, "Result")
    for row, other in zip(differences.rows, ("control", "control_compute"), strict=True):
        for item, metric in zip(row[1:3], ("bits_per_byte", "nats_per_token"), strict=True):
            assert item.value == pytest.approx(test["student", metric] - test[other, metric])


@pytest.mark.parametrize("which", ["of_run", "of_sweep"])
def test_page_and_markdown_state_the_same_facts(which: str, request: pytest.FixtureRequest) -> None:
    written: Written = request.getfixturevalue(which)
    page = Cells()
    page.feed(written.html.read_text())
    text = written.markdown.read_text()
    assert page.found == [item.text for item in items(written.document)]
    assert in_markdown(text) == list(told_in_tables(written.document))
    assert written.document.headline in text
    assert written.document.headline in written.html.read_text()


def test_the_sweeps_page_has_what_a_sweep_is_asked_for(of_sweep: Written) -> None:
    titles = [section.title for section in of_sweep.document.sections]
    for wanted in ("All settings", "Along one key", "Maps of two keys", "Main effects", "Pareto front",
                   "Learning curves", "Calibration", "Runs that did not finish", "Runs", "Citations"):  # fmt: skip
        assert wanted in titles
    failed = {item.text for item in items(of_sweep.document, "Runs that did not finish")}
    assert "run-004" in failed
    assert any("killed by signal 9" in text for text in failed)
    assert any(text.endswith("logs/run-004.txt") for text in failed)
    assert of_sweep.document.remarks[0] == "Not every run is finished: 35 done, 1 failed."


def test_the_best_setting_is_chosen_on_validation_and_never_undefined(
    tmp_path: Path, make_sweep: Callable[..., Path]
) -> None:
    sweep = make_sweep(tmp_path / "s", seeds=(0,), weights=(0.9,), teachers=("nursery",), steps=50)
    best = sweep / "runs" / "run-001" / METRICS
    assert "temperature 2." in write([sweep]).document.sentence
    lines = [json.loads(line) for line in best.read_text().splitlines()]
    for line in lines:
        if line["subject"] == "student" and line["split"] in ("validation", "test"):
            line["value"] = None
    best.write_text("".join(json.dumps(line) + "\n" for line in lines))
    document = write([sweep]).document
    assert "temperature 1." in document.sentence or "temperature 4." in document.sentence
    assert "undefined" in {item.text for item in items(document, "All settings")}


def test_what_a_search_pruned_is_in_no_result(tmp_path: Path, make_sweep: Callable[..., Path]) -> None:
    sweep = make_sweep(tmp_path / "s", seeds=(0,), weights=(0.9,), teachers=("nursery",), steps=50)
    first = sweep / "runs" / "run-000"
    lines = [json.loads(line) for line in (first / METRICS).read_text().splitlines()]
    kept = [line | {"value": 0.1} for line in lines if line["split"] == "validation" and line["subject"] == "student"]
    (first / METRICS).write_text("".join(json.dumps(line) + "\n" for line in kept))  # the lowest, and never the best
    status = {"state": "pruned", "cause": "stopped at step 40 by the search", "log": "../../logs/run-000.txt"}
    (first / "status.json").write_text(json.dumps(status))
    document = write([sweep]).document
    assert document.remarks[0].startswith("The search pruned 1 of 3 runs")
    assert not any("not finished" in remark for remark in document.remarks)
    assert "Best of 2 settings" in document.sentence
    told = {item.text for item in items(document, "Runs that the search pruned")}
    assert {"run-000", "stopped at step 40 by the search", "logs/run-000.txt"} <= told
    assert "Runs that did not finish" not in {section.title for section in document.sections}
    assert "pruned" in {item.text for item in items(document, "Runs")}

    of_run = write([first]).document
    assert "the search pruned it (stopped at step 40 by the search)" in " ".join(of_run.remarks)


def test_what_is_missing_is_said(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    alone = make_run(tmp_path / "alone", subjects=("student",), steps=20, state="running")
    document = write([alone]).document
    assert document.headline == "No control"
    said = " ".join(document.remarks)
    for words in ("not finished: running", "step 20", "teacher was not measured", "control was not measured"):
        assert words in said

    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "status.json").write_text('{"state": "failed", "cause": "disk full"}')
    document = write([tmp_path / "empty"]).document
    assert document.headline == "No verdict"
    assert "failed (disk full)" in document.remarks[0]
    assert "Nothing has been measured yet." in document.remarks


def test_an_undefined_number_is_shown_as_such(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    run = make_run(tmp_path / "run", steps=20)
    lines = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    for line in lines:
        if (line["subject"], line["metric"], line["split"]) == ("student", "ece", "test"):
            line["value"] = None
    (run / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    document = write([run]).document
    (table, *_) = tables(document, "Result")
    (student,) = (row for row in table.rows if row[0].text == "student")
    assert student[6].text == "undefined"
    assert not student[6].best
    assert any("student: ece" in remark for remark in document.remarks)


def test_several_folders_are_compared(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    folders = [make_run(tmp_path / f"t{t:g}", temperature=t, steps=20) for t in (1.0, 2.0)]
    written = write(folders, tmp_path / "out")
    assert written.html == tmp_path / "out" / "report.html"
    assert written.document.kicker == "2 runs side by side"
    assert "temperature" in {h.title for h in next(tables(written.document, "All settings")).headings}


def test_runs_link_to_their_own_reports(tmp_path: Path, make_sweep: Callable[..., Path]) -> None:
    sweep = make_sweep(tmp_path / "s", seeds=(0,), weights=(0.9,), teachers=("nursery",), steps=4)
    write([sweep / "runs" / "run-000"])
    page = write([sweep]).html.read_text()
    assert re.findall(r'<a href="([^"#]*)"', page) == ["runs/run-000/report.html"]


def test_an_unwritable_place_is_a_resource_stop(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceStop):
        write([run_folder], tmp_path / "file")


def test_a_report_needs_no_torch(run_folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from distill.reports.report import write; import distill.reports.table;"
    )
    code += f"write([Path({str(run_folder)!r})], Path({str(tmp_path)!r})); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "False"


def test_a_coarse_teacher_is_told_of(tmp_path: Path) -> None:
    note = "the teacher says its 64 likeliest tokens and one bucket: a divergence is a lower bound of itself"
    row = {"subject": "student", "metric": "nats_per_token", "value": 3.0, "unit": "nats/token", "split": "test"}
    (tmp_path / METRICS).write_text(json.dumps({**row, "step": 1, "seed": 0}) + "\n")
    (tmp_path / "provenance.json").write_text(json.dumps({"notes": [note]}))
    (tmp_path / "config.yaml").write_text("control: none\n")
    remarks = write([tmp_path]).document.remarks
    assert note in remarks
    assert not any("control" in remark for remark in remarks)  # none was asked for


def test_a_source_that_several_runs_share_is_cited_once(tmp_path: Path) -> None:
    entries = ["@misc{a2020,\n  year = {2020},\n}", "@misc{b2021,\n  year = {2021},\n}"]
    for name, told in (("one", "\n\n".join(entries)), ("two", [entries[1], "a plain line"])):
        folder = tmp_path / name
        folder.mkdir()
        row = {"subject": "student", "metric": "nats_per_token", "value": 3.0, "unit": "nats/token", "split": "test"}
        (folder / METRICS).write_text(json.dumps({**row, "step": 1, "seed": 0}) + "\n")
        (folder / "provenance.json").write_text(json.dumps({"citations": told}))
    page = write([tmp_path]).markdown.read_text()
    assert page.count("@misc{a2020,") == page.count("@misc{b2021,") == page.count("a plain line") == 1


def test_a_run_that_has_not_begun_does_not_make_the_others_differ(
    tmp_path: Path, make_sweep: Callable[..., Path]
) -> None:
    folder = make_sweep(tmp_path / "grid", seeds=(0,), temperatures=(1.0, 2.0), weights=(0.9,), teachers=("nursery",))
    waiting = folder / "runs" / "run-001"
    for file in waiting.iterdir():
        file.unlink()
    (waiting / "status.json").write_text('{"state": "queued"}')
    page = write([folder]).markdown.read_text()
    assert "The same in each run that has begun." in page
    assert "Different between the runs." not in page
    assert "\n()\n" not in page
    assert "| run-001 | queued | — | — |" in page


def test_runs_of_other_test_texts_are_told_apart(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    folders = [make_run(tmp_path / name) for name in ("a", "b")]
    for folder, size in zip(folders, (100, 200), strict=True):
        told = json.loads((folder / "provenance.json").read_text())
        told["data"] = {"splits": {"test": {"documents": 3, "bytes": size}}}
        (folder / "provenance.json").write_text(json.dumps(told))
    said = "Not every run was measured on the same test text"
    assert said in write(folders, tmp_path).markdown.read_text()
    assert said not in write(folders[:1] * 2, tmp_path).markdown.read_text()
