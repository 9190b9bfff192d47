"""A teacher writes a data set: what is written, that nothing is lost or asked twice, and that every drop is counted."""

import json
import os
import signal
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from distill.__main__ import main
from distill.cli.sources import CONF


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_llama, tokenizer):
    """A model's folder and some rows."""
    place = tmp_path_factory.mktemp("generate")
    tiny_llama(seed=3).save_pretrained(place / "model")
    tokenizer.save_pretrained(place / "model")
    rows = [{"prompt": f"What is {n} and {n + 1}?", "completion": f"It is {2 * n + 1}."} for n in range(9)]
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    return place


@pytest.fixture
def generate(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))

    def run(*words, into="out"):
        given = ["teacher=live", f"teacher.path={home / 'model'}", f"prompts.path={home / 'rows.jsonl'}"]
        given += ["decoding.chat=false", "decoding.new_tokens=6", "batch_size=2", f"into={into}"]
        assert main(["generate", *given, *words]) == 0
        return pq.read_table(tmp_path / into / "data.parquet").to_pylist()

    return run


def account(place):
    told = json.loads((place / "account.json").read_text())
    assert told["candidates"] == told["rows"] + sum(told["dropped"].values())
    return told


def test_answers_with_their_provenance(generate, tmp_path, capsys):
    rows = generate()
    assert "9 prompts of 10 rows read (dropped: duplicate 1)" in capsys.readouterr().out
    assert len(rows) == 9 == account(tmp_path / "out")["rows"]
    told = json.loads(rows[0]["provenance"])
    assert len(told["fingerprint"]) == 64
    assert told["decoding"]["temperature"] == 0.0
    assert rows[0]["tokens"] <= 6
    assert rows[0]["nats"] > 0


@pytest.mark.parametrize("words", [(), ("decoding=sample", "decoding.chat=false", "decoding.new_tokens=6"),
                                   ("decoding=beam", "decoding.chat=false", "decoding.new_tokens=6")])  # fmt: skip
def test_what_is_written_does_not_depend_on_the_batch(generate, words):
    texts = [
        [(r["prompt"], r["completion"]) for r in generate(*words, f"batch_size={n}", into=f"of{n}")] for n in (1, 9)
    ]
    assert texts[0] == texts[1]


def test_a_job_goes_on_and_asks_nobody_twice(generate, tmp_path, capsys):
    few = generate("limit=4")
    capsys.readouterr()
    all_of_them = generate()
    told = capsys.readouterr().out
    assert "4 prompts were answered before; 5 answered now" in told
    assert all_of_them[:4] == few
    generate("+filter@filters.length=length", "filters.length.ended=false", "filters.length.shortest=3")
    assert "9 prompts were answered before; 0 answered now" in capsys.readouterr().out
    assert "length" in account(tmp_path / "out")["dropped"]


KILLED = """
import os, sys
from distill.__main__ import main
from distill.cli.sources import CONF
from distill.generation import parts
whole, count = parts.Parts.write, [0]
def write(self, candidates):
    count[0] += 1
    if count[0] == 3:
        print("third", flush=True)
        import time; time.sleep(60)
    whole(self, candidates)
parts.Parts.write = write
sys.exit(main(sys.argv[1:]))
"""


N_BEST = ("decoding=n_best", "decoding.chat=false", "decoding.new_tokens=6", "decoding.beams=4")


@pytest.mark.parametrize("decoding", [(), N_BEST])
def test_a_killed_job_loses_at_most_one_batch(generate, home, tmp_path, capsys, decoding):
    words = ["teacher=live", f"teacher.path={home / 'model'}", f"prompts.path={home / 'rows.jsonl'}", "into=out"]
    words += ["decoding.chat=false", "decoding.new_tokens=6", "batch_size=2"]
    script = [sys.executable, "-c", KILLED, "generate", *words, *decoding]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("third"):
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.wait(timeout=30) == -signal.SIGKILL
    rows = generate(*decoding)
    assert "4 prompts were answered before; 5 answered now" in capsys.readouterr().out
    assert rows == generate(*decoding, into="straight")


def test_a_damaged_batch_is_refused(generate, tmp_path):
    generate()
    part = next((tmp_path / "out" / "written").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    words = ["generate", "teacher=none", "prompts.path=x"]
    assert main(words) == 2
    with pytest.raises(AssertionError):
        generate()
    part.unlink()
    assert len(generate()) == 9


def test_best_of_n_is_the_likeliest_of_them(generate, tmp_path):
    sampled = ("decoding=sample", "decoding.chat=false", "decoding.new_tokens=6", "decoding.candidates=5")
    every = generate(*sampled)
    best = generate(*sampled, "pick=likeliest")
    for row in best:
        mean = [r["nats"] / r["tokens"] for r in every if r["prompt"] == row["prompt"]]
        assert row["nats"] / row["tokens"] == min(mean)
    assert account(tmp_path / "out")["dropped"]["not_picked"] == 45 - 9


def test_seq_inter_takes_the_one_nearest_to_the_reference(generate):
    bleu = pytest.importorskip("sacrebleu").sentence_bleu
    every = generate(*N_BEST, "prompts.reference=completion")
    assert len(every) > 9
    rows = generate(*N_BEST, "pick=closest", "prompts.reference=completion")
    assert len(rows) == 9
    for row in rows:
        assert row["reference"].startswith("It is")
        beam = [one["completion"] for one in every if one["prompt"] == row["prompt"]]
        scores = [bleu(text, [row["reference"]]).score for text in beam]
        assert row["completion"] == beam[scores.index(max(scores))]


STRICT = {
    "length": ["shortest=1000"],
    "likelihood": ["most=0.001"],
    "perplexity": ["most=1.001", "judge.path={model}"],
    "correctness": [],
    "agreement": [],
}


@pytest.mark.parametrize("name", STRICT)
def test_a_named_filter_counts_what_it_drops(name, home, tmp_path, monkeypatch):
    """A teacher that writes noise: little passes the strictest of each, and the account says which it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    keys = [f"filters.{name}.{key}".format(model=home / "model") for key in STRICT[name]]
    decoding = ["decoding=sample", "decoding.chat=false", "decoding.candidates=3", "prompts.reference=completion"]
    filtered = [f"+filter@filters.{name}={name}", *keys]
    given = ["teacher=live", f"teacher.path={home / 'model'}", f"prompts.path={home / 'rows.jsonl'}", "batch_size=9"]
    main(["generate", *given, *decoding, "decoding.new_tokens=48", "into=out", *filtered])
    told = account(tmp_path / "out")
    assert told["dropped"][name] > 0
    assert told["candidates"] == 27


def test_a_teacher_that_writes_nothing_is_refused(generate, capsys):
    assert main(["generate", "teacher=none", "prompts.path=rows.jsonl"]) == 2


def test_what_was_written_is_chat_data(generate, tmp_path, tokenizer):
    from distill.data.chat import ChatData

    generate()
    data = ChatData(path=str(tmp_path / "out" / "data.parquet"), validation=0.0, test=0.0, sequence_length=96)
    data.prepare(tokenizer)
    assert data.facts.splits["train"].documents + sum(data.facts.dropped.values()) == 9


def test_what_was_explained_is_rationale_data(generate, tmp_path, tokenizer):
    from distill.data.questions.rows import Rows
    from distill.data.rationale import RationaleData

    generate("explained=true", "prompts.reference=completion", "ask=explain_answer")
    data = RationaleData(Rows(str(tmp_path / "out" / "data.parquet")), validation=0.0, test=0.0, truncated=1.0)
    data.prepare(tokenizer)
    assert data.facts.splits["train"].documents > 0


@pytest.mark.parametrize("ask", sorted(path.stem for path in (CONF / "ask").glob("*.yaml")))
def test_every_way_of_asking_asks_about_every_row(generate, tmp_path, ask):
    sums = [{"prompt": f"What is {n} and {n + 1}?", "completion": f"{2 * n + 1}"} for n in range(3)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(one) + "\n" for one in sums))
    example = {"question": "What is 1 and 1?", "rationale": "One more than 1.", "answer": "2"}
    (tmp_path / "shown.jsonl").write_text(json.dumps(example) + "\n")
    words = [f"prompts.path={tmp_path / 'sums.jsonl'}", "prompts.reference=completion", f"ask={ask}"]
    words += [f"ask.examples={tmp_path / 'shown.jsonl'}"] if ask == "few_shot" else []
    assert len(generate(*words)) == 3
    assert account(tmp_path / "out")["candidates"] == 3
