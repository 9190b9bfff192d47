"""Tables by domain: of a run, and of a sweep whose runs were trained on different ones."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from distill.reports.cells import Cell, design
from distill.reports.document import Document, Section
from distill.reports.domains import by_domain, shifted, shifts
from distill.reports.gather import Evidence, Run
from distill.reports.table import show
from distill.rows import Row


def row(metric, value, subject="student", seed=0):
    return Row(subject, metric, value, "fraction", "test", 10, seed, 5)


def run(name, swept, rows):
    return Run(Path(name), {}, {}, {"state": "done"}, tuple(rows), (), swept, ())


@pytest.fixture
def sweep():
    runs = []
    for trained in ("a", "b"):
        for seed in (0, 1):
            told = [row(f"domain/{d}/exact_match", 0.9 - 0.1 * seed if d == trained else 0.1, seed=seed) for d in "ab"]
            runs.append(run(f"{trained}{seed}", {"data.train_domains": f"[{trained}]", "seed": str(seed)}, told))
    return Evidence((Path(),), tuple(runs), ("data.train_domains", "seed"))


def test_trained_on_one_tested_on_both(sweep):
    plan = design(sweep)
    table = shifts(plan)
    assert table is not None
    assert shifted(plan)
    assert [heading.title for heading in table.headings] == ["setting", "a", "b"]
    values = [[item.value for item in one[1:]] for one in table.rows]
    assert values == [[pytest.approx(0.85), pytest.approx(0.1)], [pytest.approx(0.1), pytest.approx(0.85)]]
    assert [[item.best for item in one[1:]] for one in table.rows] == [[True, False], [False, True]]
    assert table.rows[0][1].text == "85.0"
    assert "±" in table.rows[0][1].detail


def test_subjects_by_domain_and_what_the_student_gains():
    told = [row("domain/x/y/nats_per_token", 1.5), row("domain/z/nats_per_token", 2.0, subject="teacher")]
    told += [row("domain/x/y/nats_per_token", 1.75, subject="control"), row("domain/z/kl_to_teacher", 0.5)]
    likelihood, divergence = by_domain(Cell({}, (run("r", {}, told),)))
    assert [heading.title for heading in likelihood.headings] == ["subject", "x/y", "z"]
    assert [[item.text for item in one] for one in likelihood.rows] == [
        ["teacher", "—", "2.000"],
        ["student", "1.500", "—"],
        ["control", "1.750", "—"],
        ["student − control", "−0.250", "—"],
    ]
    assert [item.text for item in divergence.rows[0]] == ["student", "—", "0.500"]
    assert by_domain(Cell({}, (run("r", {}, []),))) == []


def test_the_terminal_shows_the_first_table_and_obeys_no_name():
    told = [
        row("domain/\x1b[31mred/nats_per_token", 1.5),
        row("domain/b/nats_per_token", 1.0),
        row("domain/b/top1_agreement", 0.5),
    ]
    blocks = by_domain(Cell({}, (run("r", {}, told),)))
    document = Document("r", "run", "No verdict", "", (), (Section("By domain", tuple(blocks)),))
    console = Console(record=True, width=100, file=io.StringIO())
    show(document, console)
    text = console.export_text()
    assert "By domain: Nats per token on the test text" in text
    assert "\x1b" not in text
    assert "agreement" not in text
