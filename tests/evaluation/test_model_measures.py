"""Sizes, memory, speed and texts of models."""

import pytest
import torch

from distill.data.prompts import Prompt
from distill.evaluation.continuations import Continuations
from distill.evaluation.decoding import written
from distill.evaluation.footprint import Footprint, weight_bytes
from distill.evaluation.memory import PeakMemory
from distill.evaluation.speed import Speed
from distill.evaluation.subject import Subject
from distill.models import shape


@pytest.fixture
def subject(tiny_llama, tokenizer) -> Subject:
    return Subject("student", tiny_llama().eval(), tokenizer, 300)


def test_peak_is_the_most_that_lives_at_once():
    with torch.no_grad(), PeakMemory() as memory:
        a = torch.ones(1000)
        b = a + 1
        c = b.view(10, 100) * 2  # a view is no new memory
        assert memory.peak == 12_000
        del a, b
        assert memory.bytes == 4_000
        c = c + 1
    assert memory.peak == 12_000


def test_what_was_there_before_is_not_counted():
    weight = torch.ones(1000, 1000)
    with torch.no_grad(), PeakMemory() as memory:
        weight[:10].sum()
    assert memory.peak < 1000


def test_footprint(subject, tmp_path):
    subject.model.save_pretrained(tmp_path)
    there = Subject("student", subject.model, subject.tokenizer, 300, tmp_path)
    rows = {row.metric: row for row in Footprint(tokens=64).measure([there])["student"]}
    assert rows["parameters"].value == shape(subject.model).parameters == subject.model.num_parameters()
    assert rows["embedding_parameters"].value == 300 * 16
    assert rows["disk_bytes"].value == (tmp_path / "model.safetensors").stat().st_size
    weights = 4 * subject.model.num_parameters() / 2**20
    assert weights < rows["peak_memory"].value < weights + 1
    assert rows["peak_memory"].n == 64


def test_memory_is_the_same_every_time_and_grows_with_the_prompt(subject):
    def peak(tokens: int) -> float:
        rows = Footprint(tokens).measure([subject])["student"]
        return next(row.value for row in rows if row.metric == "peak_memory")

    assert peak(32) == peak(32)
    assert peak(32) < peak(128) == peak(10_000)  # the model has 128 positions


def test_a_tied_matrix_weighs_once(tiny_llama):
    buffers = sum(buffer.nbytes for buffer in tiny_llama().buffers())
    assert weight_bytes(tiny_llama(tied=True)) - buffers == 4 * tiny_llama(tied=True).num_parameters()
    assert weight_bytes(tiny_llama(tied=False)) - weight_bytes(tiny_llama(tied=True)) == 4 * 300 * 16


def test_no_folder_no_disk(subject):
    assert "disk_bytes" not in {row.metric for row in Footprint().measure([subject])["student"]}


def test_speed_is_told_with_threads_and_against_the_teacher(subject, tiny_llama, tokenizer):
    large = Subject("teacher", tiny_llama(layers=12, width=64).eval(), tokenizer, 300)
    found = Speed(prompt_tokens=64, new_tokens=8, rounds=3, seconds=0).measure([large, subject])
    teacher, student = ({row.metric: row for row in found[name]} for name in ("teacher", "student"))
    assert teacher["decode_speedup"].value == teacher["prefill_speedup"].value == 1.0
    assert student["decode_speedup"].value > 1.5
    assert student["decode_tokens_per_second"].value > teacher["decode_tokens_per_second"].value
    assert student["threads"].value == torch.get_num_threads()
    assert student["prefill_tokens_per_second"].n == 3


def test_small_models_are_measured_in_more_rounds(subject):
    rows = Speed(8, 2, rounds=1, seconds=0.3).measure([subject])["student"]
    assert next(row.n for row in rows if row.metric == "decode_tokens_per_second") > 3


def test_without_the_teacher_there_is_no_speedup(subject):
    metrics = {row.metric for row in Speed(8, 2, 1, seconds=0).measure([subject])["student"]}
    assert {"threads", "prefill_tokens_per_second", "decode_tokens_per_second", "first_token_ms"} <= metrics
    assert not [metric for metric in metrics if "speedup" in metric]


def test_writing_is_greedy_generation(subject):
    ids = torch.tensor([[5, 6, 7, 8]])
    expected = subject.model.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=-1, pad_token_id=0)
    assert written(subject, ids, 12) == expected[0, 4:].tolist()


def test_writing_stops_before_the_end_mark(subject):
    ids = torch.tensor([[5, 6, 7, 8]])
    whole = written(subject, ids, 12)
    assert written(subject, ids, 12, stop=whole[0]) == []


def test_surplus_ids_are_never_written(tiny_llama, tokenizer):
    model = tiny_llama(vocabulary=320, tied=False).eval()
    model.lm_head.weight.data[300:] = 100 * model.lm_head.weight.data[:20]
    assert max(written(Subject("padded", model, tokenizer, 300), torch.tensor([[5, 6, 7]]), 20)) < 300
    assert max(written(Subject("whole", model, tokenizer, 320), torch.tensor([[5, 6, 7]]), 20)) >= 300


def test_every_subject_continues_the_same_prompts(tiny_llama, tokenizer):
    subject, other = (
        Subject(name, tiny_llama(tied=False, seed=seed).eval(), tokenizer, 300)
        for seed, name in enumerate(("student", "control"))
    )
    prompts = [Prompt(tuple(tokenizer(text).input_ids), text, "") for text in ("The quick", "A student", "def")]
    samples = Continuations(prompts=2, new_tokens=5).texts([subject, other], prompts)
    assert [(s["subject"], s["prompt"]) for s in samples] == [
        ("student", "The quick"),
        ("control", "The quick"),
        ("student", "A student"),
        ("control", "A student"),
    ]
    assert all(samples[i]["text"] != samples[i + 1]["text"] for i in (0, 2))


def test_a_prompt_as_long_as_the_model_is_continued_by_nothing(subject):
    prompt = Prompt(tuple(range(1, 129)), "long", "")
    assert Continuations(1, 5).texts([subject], [prompt])[0]["text"] == ""
