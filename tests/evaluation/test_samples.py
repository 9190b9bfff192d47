"""Greedy answers, captions' scores, and speculative decoding, which must write what the large model writes alone."""

import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from distill.data.greedy import greedy
from distill.evaluation.cider import cider
from distill.evaluation.drafting import speculative
from distill.evaluation.picture_answers import normalised
from distill.evaluation.translated import _scores


@pytest.fixture
def pair():
    """Two random Whispers of one width; they seldom agree."""
    made = []
    for seed, layers in ((0, 2), (1, 1)):
        torch.manual_seed(seed)
        config = WhisperConfig(
            vocab_size=12,
            num_mel_bins=8,
            d_model=16,
            encoder_layers=1,
            decoder_layers=layers,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            max_source_positions=10,
            max_target_positions=40,
            init_std=0.5,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=0,
            decoder_start_token_id=1,
        )
        made.append(WhisperForConditionalGeneration(config).eval())
    return made


@pytest.fixture
def inputs():
    features = torch.randn(1, 8, 20, generator=torch.Generator().manual_seed(3))
    return {"input_features": features, "decoder_input_ids": torch.tensor([[1, 2]])}


@pytest.mark.parametrize("ahead", [1, 3, 5])
def test_drafts_change_nothing_in_what_is_written(pair, inputs, ahead):
    large, small = pair
    for stop in (None, 0, 5):
        alone = greedy(large, inputs, 12, stop)[0]
        assert speculative(large, small, inputs, ahead, 12, stop).ids == alone


def test_a_model_accepts_all_that_it_drafts_itself(pair, inputs):
    large, _ = pair
    told = speculative(large, large, inputs, 4, 12, None)
    assert told.accepted == told.drafted
    assert told.passes < 12


def test_the_cache_changes_nothing(pair, inputs):
    large, _ = pair
    ids, text = inputs["decoder_input_ids"], []
    for _ in range(8):
        text.append(int(large(**{**inputs, "decoder_input_ids": ids}).logits[0, -1].argmax()))
        ids = torch.cat([ids, torch.tensor([[text[-1]]])], dim=1)
    assert greedy(large, inputs, 8, None)[0] == text
    assert not set(greedy(large, inputs, 8, None, never=[text[0]])[0]) & {text[0]}


def test_cider_is_ten_for_the_reference_and_nothing_for_other_words():
    references = [["a red box on a table"], ["two dogs run in the park"], ["a man rides a brown horse"]]
    same = cider([one[0] for one in references], references)
    assert same == pytest.approx([10.0, 10.0, 10.0])
    assert cider(["blue", "cats", "sky"], references) == [0.0, 0.0, 0.0]
    partly = cider(["two dogs sleep in the park"] * 3, references)
    assert 0 < partly[1] < 10
    assert partly[1] > partly[0]


def test_answers_are_compared_without_case_articles_and_full_stops():
    assert normalised(" The  Red box. ") == normalised("red box")
    assert normalised("no") != normalised("yes")


def test_translations_with_hardly_a_word_in_common_have_a_score_and_no_interval():
    """Some of sacrebleu's resamples are an exact zero, of which it takes no mean beside other numbers."""
    references = [f"a b c d e{i}" for i in range(40)]
    rows, _ = _scores([*["zzz"] * 39, "a"], references, "/beam")
    assert [row.metric for row in rows] == ["bleu/beam", "chrf/beam"]
    assert 0 < rows[1].value < 1
    assert rows[1].low is None
