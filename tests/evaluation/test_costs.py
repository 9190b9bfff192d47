"""Operations, memory, energy: what a model costs, by analysis and by looking."""

import math

import pytest
import torch

from distill.evaluation import energy
from distill.evaluation.attention import computed
from distill.evaluation.energy import Energy, counters, spent
from distill.evaluation.flops import Flops
from distill.evaluation.footprint import Footprint
from distill.evaluation.speed import Speed
from distill.evaluation.subject import Subject


@pytest.fixture
def subject(tiny_llama, tokenizer) -> Subject:
    return Subject("student", tiny_llama(width=32, tied=False).eval(), tokenizer, 300)


def values(rows) -> dict[str, float]:
    return {row.metric: row.value for row in rows}


def test_operations_by_analysis_are_those_that_are_counted(subject):
    told = values(Flops(64).measure([subject])["student"])
    assert told["flops_per_token_counted"] == pytest.approx(told["flops_per_token"], rel=0.01)
    assert subject.model.config._attn_implementation == "sdpa"


def test_memory_of_loading_is_below_that_of_writing_and_reading(subject):
    told = values(Footprint(64).measure([subject])["student"])
    cache = 2 * 2 * 64 * 32 * 4 / 2**20  # keys and values of two layers
    assert told["memory_loaded"] + cache <= told["memory_decode"] < told["peak_memory"]


def test_all_are_timed_with_the_same_kernel(subject, tiny_llama, tokenizer):
    slow = Subject("teacher", tiny_llama().eval(), tokenizer, 300)
    slow.model.set_attn_implementation("eager")
    with computed([slow.model, subject.model], "sdpa") as chosen:
        assert chosen == "sdpa"
        assert slow.model.config._attn_implementation == "sdpa"
    assert slow.model.config._attn_implementation == "eager"
    assert subject.model.config._attn_implementation == "sdpa"


def test_where_one_has_no_fused_kernel_none_uses_it(subject, tiny_llama, tokenizer):
    other = tiny_llama().eval()
    other.set_attn_implementation("eager")
    other._supports_sdpa = False
    with computed([other, subject.model], "sdpa") as chosen:
        assert chosen == "eager"
        assert subject.model.config._attn_implementation == "eager"
    assert subject.model.config._attn_implementation == "sdpa"


def test_latencies_have_percentiles_and_a_batch_has_rows_of_its_own(subject):
    told = {row.metric: row for row in Speed(8, 4, rounds=2, seconds=0, batch=3).measure([subject])["student"]}
    assert told["decode_token_ms"].value <= told["decode_token_ms/p95"].value <= told["decode_token_ms/p99"].value
    assert told["decode_token_ms"].n == 8
    assert told["first_token_ms/batch_03"].n == 2
    rate, median = told["decode_tokens_per_second/batch_03"].value, told["decode_token_ms/batch_03"].value
    assert 0.1 < rate * median / 3000 < 10


def test_energy_is_read_off_the_counters(subject, tmp_path, monkeypatch):
    package, part = tmp_path / "intel-rapl:0", tmp_path / "intel-rapl:0:0"
    for folder in (package, part):
        folder.mkdir()
        (folder / "energy_uj").write_text("5000000\n")
        (folder / "max_energy_range_uj").write_text("9000000\n")
    assert counters(tmp_path) == [package / "energy_uj"]
    assert spent([5_000_000], [7_000_000], [package / "energy_uj"]) == 2.0
    assert spent([8_000_000], [1_000_000], [package / "energy_uj"]) == 2.0  # it began anew
    monkeypatch.setattr(energy, "COUNTERS", tmp_path)
    monkeypatch.setattr(energy, "counters", lambda: counters(tmp_path))
    told = values(Energy(4, 2, seconds=0.01).measure([subject])["student"])
    assert told == {"energy_counters": 1, "energy_per_1000_tokens": 0.0}


def test_energy_that_nobody_counts_is_undefined(subject, tmp_path, monkeypatch):
    assert counters(tmp_path) == []
    monkeypatch.setattr(energy, "counters", list)
    told = values(Energy().measure([subject])["student"])
    assert told["energy_counters"] == 0
    assert math.isnan(told["energy_per_1000_tokens"])


def test_models_are_left_in_the_kernel_they_had_when_timing_fails(subject):
    with pytest.raises(RuntimeError), computed([subject.model], "eager"):
        raise RuntimeError
    assert subject.model.config._attn_implementation == "sdpa"
    assert torch.is_grad_enabled()
