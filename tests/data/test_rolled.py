"""Conversations and questions as prompts: the template stays, answers end with the mark that ends them in the data, and
padding hides nothing where it is the same token."""

import json

import pytest
import torch

from distill.data.chat import ChatData
from distill.data.encode import Marks
from distill.data.questions.rows import Rows
from distill.data.rationale import RationaleData
from distill.rollouts.language import Language
from distill.rollouts.student import Student
from distill.rollouts.text import STUDENT
from distill.types import Moment
from tests.data.test_chat import BRACKETS, CHATML, KINDS, TURNS

NOW = Moment(0, 10)
SHAPE = {"validation": 0.0, "test": 0.0, "sequence_length": 120}


def rolled(data, tokenizer, model, new_tokens=8, vocabulary=None):
    """A batch of the data, and the same with the student's text."""
    (batch, *_) = data.train_batches()
    writer = Student(new_tokens=new_tokens)
    begin = Marks.of(tokenizer).begin
    writer.meet(Language.of(tokenizer, vocabulary or len(tokenizer), None, begin, data.ends), lambda: None)
    return batch, writer.roll(batch, model, NOW), writer


def shown(batch, sample):
    """Ids of a sample up to its first supervised position."""
    first = batch.positions[batch.owners == sample][0]
    width = batch.inputs["input_ids"].shape[1]
    row = batch.inputs["input_ids"][first // width]
    mask = batch.inputs.get("attention_mask", torch.ones_like(batch.inputs["input_ids"]))[first // width].bool()
    return row[: first % width + 1][mask[: first % width + 1]]


@pytest.fixture
def rows(tmp_path):
    """Two conversations, the second of one answer."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in (TURNS, TURNS[1:3])))
    return str(path)


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("kind", ["one mark for all", "padding is the end", "chatml, padding is the end"])
def test_the_last_answer_is_written_after_all_that_the_template_says(kind, packing, bpe, rows, tiny_llama):
    marks, template = KINDS[kind]
    tokenizer = bpe(**marks, template=template)
    data = ChatData(path=rows, packing=packing, batch_size=2, **SHAPE)
    data.prepare(tokenizer)
    before, after, _ = rolled(data, tokenizer, tiny_llama(vocabulary=len(tokenizer)))
    prompts = sorted(tokenizer.decode(shown(after, n)) for n in range(2))
    asked = [
        tokenizer.apply_chat_template(t, tokenize=False, add_generation_prompt=True) for t in (TURNS[:4], TURNS[1:2])
    ]
    assert prompts == sorted(tokenizer.decode(tokenizer(one, add_special_tokens=False).input_ids) for one in asked)
    assert after.domains == before.domains
    assert (after.labels["writers"] == STUDENT).all()
    supervised = torch.zeros_like(after.inputs["input_ids"]).flatten()
    supervised[after.positions] = 1
    assert int(supervised.sum()) == after.tokens  # each once, padding never
    mask = after.inputs["attention_mask"].flatten()
    assert (mask[after.positions] == 1).all()


@pytest.mark.parametrize("kind", ["turns end otherwise", "padding is the end"])
def test_an_answer_ends_with_the_mark_that_ends_it_in_the_data(kind, bpe, rows, tiny_llama):
    marks, template = KINDS[kind]
    tokenizer = bpe(**marks, template=template)
    data = ChatData(path=rows, packing=False, batch_size=2, **SHAPE)
    data.prepare(tokenizer)
    mark = tokenizer.convert_tokens_to_ids("<|im_end|>" if template == CHATML else "</s>")
    assert data.ends == {mark}
    model = tiny_llama(vocabulary=len(tokenizer))
    with torch.no_grad():  # a student that finds all tokens equally likely
        model.get_output_embeddings().weight.zero_()
    told = Language.of(tokenizer, len(tokenizer), None, None, data.ends)
    assert mark in told.ends
    assert mark not in told.banned
    _, after, writer = rolled(data, tokenizer, model, new_tokens=60, vocabulary=mark + 6)
    ends = [int(after.targets[after.owners == n][-1]) for n in range(2)]
    ended = writer.account()["rollout/ended"]
    assert ended == sum(one in told.ends for one in ends) / 2 > 0
    assert all((after.targets[after.owners == n][:-1] != mark).all() for n in range(2))


def test_what_is_cut_is_learnt_up_to_there_and_counted(bpe, rows, tiny_llama):
    tokenizer = bpe(**KINDS["padding is the end"][0], template=BRACKETS)
    data = ChatData(path=rows, packing=True, batch_size=2, **SHAPE)
    data.prepare(tokenizer)
    _, after, writer = rolled(data, tokenizer, tiny_llama(vocabulary=len(tokenizer)), new_tokens=1)
    assert after.tokens == 2 == writer.written
    cut = [int(token) not in data.ends for token in after.targets]
    assert writer.account()["rollout/ended"] == 1 - sum(cut) / 2


@pytest.mark.parametrize("form", ["tasks", "single", "label"])
def test_questions_are_prompts_with_their_prefixes_and_weights(form, tmp_path, tokenizer, tiny_llama):
    told = [{"question": f"{n}+{n}?", "answer": str(2 * n), "rationale": f"Twice {n}."} for n in range(4)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    data = RationaleData(Rows(str(tmp_path / "q.jsonl")), form=form, packing=False, batch_size=8, **SHAPE)
    data.prepare(tokenizer)
    before, after, _ = rolled(data, tokenizer, tiny_llama(), new_tokens=5)
    assert len(after.samples) == len(before.samples) == (8 if form == "tasks" else 4)
    for n in range(len(before.samples)):
        assert torch.equal(shown(before, n), shown(after, n))
        if before.weights is not None:
            assert after.weights is not None
            assert set(after.weights[after.owners == n].tolist()) == set(before.weights[before.owners == n].tolist())
