"""Questions answered by models, and numbers by domain."""

import json

import pytest
import torch

from distill.data.questions.rows import Rows
from distill.data.rationale import RationaleData
from distill.evaluation.answers import Answers, continued
from distill.evaluation.by_domain import ByDomain
from distill.evaluation.evaluation import Evaluation
from distill.evaluation.subject import Subject
from distill.models import answer
from distill.reports.gather import read_run
from distill.reports.reasons import reasons
from distill.rows import METRICS, append


@pytest.fixture
def data(tmp_path, tokenizer):
    path = tmp_path / "questions.jsonl"
    rows = [
        {"question": f"Say {n}", "answer": f"{n % 2}", "rationale": f"It is {n}.", "domain": "ab"[n % 2]}
        for n in range(24)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = RationaleData(Rows(str(path)), validation=0.0, test=0.4, sequence_length=48, packing=False)
    made.prepare(tokenizer)
    return made


def learnt(model, data):
    """Trained on the test text itself: it has to know the answers."""
    optim = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        for batch in data.test_batches():
            outputs = answer(model, batch.inputs, batch.positions)
            loss = torch.nn.functional.cross_entropy(outputs.head.logits(outputs.hidden), batch.targets)
            optim.zero_grad()
            loss.backward()
            optim.step()
    return model


def test_right_answers_are_counted_whole_and_by_domain(data, tiny_llama, tokenizer, tmp_path):
    models = {"student": learnt(tiny_llama(), data), "control": tiny_llama(seed=9)}
    subjects = [Subject(name, model, tokenizer, 300) for name, model in models.items()]
    found = Answers(questions=20, new_tokens=8, shown=3).measure(subjects, data)
    told = {name: {row.metric: row.value for row in rows} for name, rows in found.rows.items()}
    assert told["student"]["exact_match"] >= 0.6
    assert told["control"]["exact_match"] < 0.3
    assert {"domain/a/exact_match", "domain/b/exact_match"} <= set(told["student"])
    assert len(found.samples) == 6
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in found.samples))
    append(tmp_path / METRICS, [])
    page = reasons(read_run(tmp_path))
    assert page is not None
    question, voices = page.prompts[0]
    assert question.startswith("Say")
    assert [voice[0] for voice in voices] == ["given", "student", "control"]
    assert "(right)" in voices[1][2] or "(wrong)" in voices[1][2]
    assert "asked for apart" in page.caption
    right = sum(one["verdict"] == "right" for one in found.samples if one["subject"] == "student")
    assert f"student {right} of 3" in page.caption


def test_what_is_written_does_not_depend_on_who_stands_beside(tiny_llama, tokenizer):
    subject = Subject("student", tiny_llama(seed=2).double(), tokenizer, 300)
    prompts = ["The quick", "A student learns from a teacher what", "x"]
    alone = [continued(subject, [one], 6)[0] for one in prompts]
    assert continued(subject, prompts, 6) == alone


def test_likelihood_by_domain_adds_up(data, tiny_llama, tokenizer):
    measures = {"by_domain": ByDomain()}
    subject = Subject("student", tiny_llama(), tokenizer, 300)
    rows = Evaluation(measures, {}).evaluate([subject], data.test_batches(), data=data).rows
    told = {row.metric: row for row in rows}
    shares = [told[f"domain/{name}/share"].value for name in "ab"]
    assert sum(shares) == pytest.approx(1.0)
    counts = [sum(b.tokens for b in _only(data, name)) for name in "ab"]
    assert [told[f"domain/{name}/nats_per_token"].n for name in "ab"] == counts


def _only(data, name):
    rows = [row for row in data.rows["test"] if row[0].piece.domain == name]
    return [data.collate([row]) for row in rows]


def test_one_domain_has_no_table(tiny_llama, tokenizer, tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text(
        "".join(json.dumps({"question": f"q{n}", "answer": "1", "rationale": "r"}) + "\n" for n in range(20))
    )
    data = RationaleData(Rows(str(path)), validation=0.0, test=0.3, sequence_length=48)
    data.prepare(tokenizer)
    subject = Subject("student", tiny_llama(), tokenizer, 300)
    told = Evaluation({"by_domain": ByDomain()}, {}).evaluate([subject], data.test_batches(), data=data).rows
    assert not [row for row in told if row.metric.startswith("domain/")]
