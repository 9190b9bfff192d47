"""A model behind HTTP and a file of texts as the writer of a data set: the whole job, by its command line."""

import json

import pyarrow.parquet as pq
import pytest

from distill.__main__ import main
from distill.export.torch_runner import TorchRunner
from distill.serving.engine import Engine
from distill.serving.server import Server
from tests.teachers.trouble import status, troubled

SAMPLE = ["decoding=sample", "decoding.candidates=3", "decoding.temperature=1.0"]


@pytest.fixture(scope="module")
def url(tiny_llama, tokenizer):
    with Server(Engine("tiny-1", TorchRunner(tiny_llama(seed=3).eval(), 300), tokenizer)).running() as there:
        yield there


@pytest.fixture
def generate(tmp_path, monkeypatch):
    """Runs the verb on five prompts; its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    rows = [{"prompt": f"What is {n} and {n + 1}?"} for n in range(5)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(*words, into="out"):
        given = ["prompts.path=rows.jsonl", *words, "batch_size=2", f"into={into}"]
        return main(["generate", *given])

    return run


def served(there, teacher="server", **keys):
    more = [f"teacher.{key}={value}" for key, value in keys.items()]
    return [f"teacher={teacher}", f"teacher.url={there}", "teacher.pause=0.001", *more]


CONTINUED = ["decoding.chat=false", "decoding.new_tokens=6"]


def rows_of(tmp_path, into="out"):
    told = json.loads((tmp_path / into / "account.json").read_text())
    assert told["candidates"] == told["rows"] + sum(told["dropped"].values())
    return pq.read_table(tmp_path / into / "data.parquet").to_pylist(), told


def test_a_server_writes_with_provenance_and_a_likelihood_filter(generate, url, tmp_path):
    assert generate(*served(url), *SAMPLE, *CONTINUED) == 0
    every, _ = rows_of(tmp_path)
    assert len(every) == 15
    assert all(row["nats"] > 0 and (row["ended"] or row["tokens"] == 6) for row in every)
    told = json.loads(every[0]["provenance"])
    assert told["teacher"] == f"tiny-1 at {url}"
    assert told["decoding"]["temperature"] == 1.0
    middle = sorted(row["nats"] / row["tokens"] for row in every)[7]
    judged = ["+filter@filters.likelihood=likelihood", f"filters.likelihood.most={middle}"]
    assert generate(*served(url), *SAMPLE, *CONTINUED, *judged) == 0
    kept, account = rows_of(tmp_path)
    assert len(kept) == 8
    assert account["dropped"]["likelihood"] == 7
    assert generate(*served(url), *SAMPLE, *CONTINUED, "pick=likeliest") == 0
    assert len(rows_of(tmp_path)[0]) == 5


def test_trouble_on_the_way_changes_no_row(generate, url, tmp_path):
    assert generate(*served(url, model="tiny-1"), *SAMPLE, *CONTINUED, into="straight") == 0
    with troubled(url, status(503), lambda handler: handler.connection.close(), status(500)) as (there, _):
        assert generate(*served(there, model="tiny-1"), *SAMPLE, *CONTINUED, into="troubled") == 0
    straight, troublesome = (rows_of(tmp_path, into)[0] for into in ("straight", "troubled"))
    assert [(row["completion"], row["nats"]) for row in straight] == [(r["completion"], r["nats"]) for r in troublesome]


def test_a_server_that_goes_away_costs_a_batch(generate, url, tmp_path, capsys):
    with troubled(url, None, None, *[status(503)] * 20) as (there, _):
        words = [*served(there, model="tiny-1", retries=0, concurrency=1), *CONTINUED]
        assert generate(*words) == 4
        assert "the same command goes on" in capsys.readouterr().err
    assert len(list((tmp_path / "out" / "written").rglob("*.parquet"))) == 1


def test_words_alone_are_written_and_nobody_may_ask_how_likely(generate, url, tmp_path, capsys):
    words = [*served(url, "text", chat="false"), *CONTINUED]
    for asks in (["+filter@filters.likelihood=likelihood"], ["pick=likeliest"]):
        assert generate(*words, *asks) == 2
        assert "does not tell how likely its texts are; use teacher=server" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert generate(*words, "+filter@filters.length=length", "filters.length.ended=false") == 0
    rows, _ = rows_of(tmp_path)
    assert len(rows) == 5
    assert all(row["nats"] != row["nats"] and row["tokens"] == 6 for row in rows)


def test_a_file_of_texts_is_filtered_as_any_other(generate, tmp_path, capsys):
    asked = [json.loads(line)["prompt"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    told = [{"prompt": asked[n], "completion": [f"It is {2 * n + 1}.", "I do not know."]} for n in range(5)]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    recorded = ["teacher=recorded", "teacher.path=answers.jsonl"]
    assert generate(*recorded, "+filter@filters.length=length", "filters.length.longest=11") == 0
    rows, account = rows_of(tmp_path)
    assert [row["completion"] for row in rows] == [f"It is {2 * n + 1}." for n in range(5)]
    assert account["dropped"]["length"] == 5
    provenance = json.loads(rows[0]["provenance"])
    assert provenance["teacher"] == "what answers.jsonl records"
    assert provenance["decoding"] is None
    assert generate(*recorded, "pick=likeliest", into="other") == 2
    (tmp_path / "answers.jsonl").write_text(json.dumps(told[0]) + "\n")
    capsys.readouterr()
    assert generate(*recorded, into="fewer") == 2
    assert "has no text for 1 of these 2 prompts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "a"}, "no field 'completion'"),
        ({"prompt": "a", "completion": 3}, "field 'completion' is neither a text nor a list of texts"),
        ({"prompt": "a", "completion": "b", "nats": "few"}, "field 'nats' is no number"),
        ({"prompt": None, "completion": "b"}, "field 'prompt' is null"),
    ],
)
def test_a_row_that_is_no_answer_is_refused_with_its_place(generate, tmp_path, capsys, row, said):
    (tmp_path / "answers.jsonl").write_text(json.dumps(row) + "\n")
    assert generate("teacher=recorded", "teacher.path=answers.jsonl") == 2
    assert f"answers.jsonl:1: {said}" in capsys.readouterr().err
