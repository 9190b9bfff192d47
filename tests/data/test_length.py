import pytest
from transformers import BloomConfig, GPT2Config, LlamaConfig, LlavaConfig

from distill.data.length import check_length
from distill.errors import BadInput

LIMITED = {
    "rotary": LlamaConfig(max_position_embeddings=64),
    "learned": GPT2Config(n_positions=64),
    "the text part of a larger model": LlavaConfig(text_config=LlamaConfig(max_position_embeddings=64)),
}


@pytest.mark.parametrize("config", LIMITED.values(), ids=LIMITED)
def test_a_row_longer_than_the_model_is_refused_with_the_remedy(config):
    check_length(config, 64, "student")
    with pytest.raises(BadInput, match=r"^student: has 64 positions, .* is 65; data\.sequence_length=64$"):
        check_length(config, 65, "student")


def test_a_model_without_a_limit_passes():
    check_length(BloomConfig(), 10**6, "student")
