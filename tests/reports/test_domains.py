"""Tables by domain: of a run, and of a sweep whose runs were trained on different ones."""

from pathlib import Path

import pytest

from distill.reports.cells import design
from distill.reports.domains import by_domain, shifts
from distill.reports.gather import Evidence, Run
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
    table = shifts(design(sweep))
    assert table is not None
    assert [heading.title for heading in table.headings] == ["setting", "a", "b"]
    values = [[item.value for item in one[1:]] for one in table.rows]
    assert values == [[pytest.approx(0.85), pytest.approx(0.1)], [pytest.approx(0.1), pytest.approx(0.85)]]
    assert "0.8" in table.rows[0][1].detail


def test_subjects_by_domain():
    told = [row("domain/x/y/nats_per_token", 1.5), row("domain/z/nats_per_token", 2.0, subject="teacher")]
    table = by_domain(run("r", {}, told))
    assert table is not None
    assert [heading.title for heading in table.headings] == ["subject", "x/y", "z"]
    assert [item.text for item in table.rows[0]] == ["teacher", "–", "2"]
    assert by_domain(run("r", {}, [])) is None
