"""Where a model begins to write, and how texts are laid out for two models."""

from dataclasses import replace

import pytest
import torch

from distill.errors import BadInput
from distill.rollouts.prompts import begun
from distill.rollouts.text import DATA, STUDENT, Text, laid
from distill.types import Spans
from tests.rollouts.conftest import answers, packed


def test_plain_text_is_cut_after_so_many_tokens_and_short_text_is_halved():
    batch = packed()
    told = begun(batch, 8)
    ids = batch.inputs["input_ids"]
    assert [len(text.prompt) for text in told] == [6, 4] * 3
    assert torch.equal(begun(batch, 4)[0].prompt, ids[0, :4])
    assert torch.equal(begun(batch, 4)[1].prompt, ids[0, 12:16])
    assert all(torch.equal(text.tokens, row) for text, row in zip(begun(batch, 4)[::2], ids[:, 4:13], strict=True))
    assert [text.domain for text in told] == list(batch.domains)


def test_a_sample_with_a_prompt_of_its_own_keeps_it_whatever_the_number_says():
    batch = answers()
    for number in (1, 50):
        told = begun(batch, number)
        assert [len(text.prompt) for text in told] == [4, 6]
        assert torch.equal(told[1].tokens, batch.inputs["input_ids"][1, 6:15])


def test_of_several_answers_the_last_is_written():
    batch = answers(((3, 14),))
    gone = torch.tensor([i not in (5, 6, 9) for i in range(batch.tokens)])
    kept = {name: getattr(batch, name)[gone] for name in ("positions", "teacher_positions", "targets", "owners")}
    (text,) = begun(replace(batch, **kept), 8)
    assert len(text.prompt) == 3 + 10 + 1
    assert len(text.tokens) == 1


def test_a_teacher_that_reads_more_is_shown_its_own_prompt():
    batch = answers()
    longer = torch.cat([torch.full((2, 5), 7), batch.inputs["input_ids"]], 1)
    rows, columns = batch.positions // 16, batch.positions % 16
    both = replace(batch, teacher_inputs={"input_ids": longer}, teacher_positions=rows * 21 + columns + 5)
    told = begun(both, 8)
    assert [len(text.told) for text in told] == [9, 11]
    assert torch.equal(told[0].told[5:], told[0].prompt)
    again = laid(told, 0, torch.device("cpu"))
    shown = again.teacher_inputs["input_ids"].flatten()[again.teacher_positions]
    assert torch.equal(shown, again.inputs["input_ids"].flatten()[again.positions])


def test_laid_out_and_begun_again_it_is_the_same_text():
    told = begun(packed(), 6)
    again = begun(laid(told, 0, torch.device("cpu")), 6)
    for first, second in zip(told, again, strict=True):
        assert torch.equal(first.prompt, second.prompt)
        assert torch.equal(first.tokens, second.tokens)


def test_a_padding_that_is_the_end_hides_no_end():
    texts = [
        Text(torch.tensor([5, 6]), torch.tensor([5, 6]), torch.tensor([7, 0]), torch.zeros(2), STUDENT),
        Text(torch.tensor([5]), torch.tensor([5]), torch.tensor([8, 9, 1, 2]), torch.zeros(4), STUDENT, ended=False),
    ]
    batch = laid(texts, 0, torch.device("cpu"))
    assert batch.targets.tolist() == [7, 0, 8, 9, 1, 2]
    assert batch.positions.tolist() == [1, 2, 4, 5, 6, 7]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch.inputs["input_ids"].tolist() == [[5, 6, 7, 0], [5, 8, 9, 1]]


def test_text_of_the_data_says_that_nobody_drew_it():
    batch = laid(begun(packed(), 6), 0, torch.device("cpu"))
    assert (batch.labels["writers"] == DATA).all()
    assert torch.isinf(batch.labels["behaviour"]).all()


def test_what_is_no_text_of_a_decoder_is_refused():
    batch = packed()
    with pytest.raises(BadInput, match="pixel_values"):
        begun(replace(batch, inputs={**batch.inputs, "pixel_values": torch.zeros(3)}), 4)
    none = torch.zeros(0, dtype=torch.long)
    with pytest.raises(BadInput, match="another tokenizer"):
        begun(replace(batch, spans=Spans(none, none, none, none, none, none, 0)), 4)


def test_a_text_weighs_what_its_prompt_weighed():
    batch = answers()
    weighed = replace(batch, weights=torch.tensor([0.5, 2.0])[batch.owners])
    again = laid(begun(weighed, 8), 0, torch.device("cpu"))
    assert again.weights is not None
    assert torch.equal(again.weights, torch.tensor([0.5, 2.0])[again.owners])
    assert laid(begun(batch, 8), 0, torch.device("cpu")).weights is None
