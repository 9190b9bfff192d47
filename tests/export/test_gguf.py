"""A GGUF written here says, read by others, what the student says."""

import numpy as np
import pytest
import torch

from distill.errors import BadInput
from distill.export.export import Bound
from distill.export.gguf import BLOCK, Gguf, interleaved
from distill.export.llama_cpp import LlamaCppRunner
from distill.export.recheck import Recheck
from distill.export.speaker import log_softmax
from distill.export.torch_runner import TorchRunner

pytest.importorskip("gguf", reason="gguf is in the extra gguf")

from distill.export.gguf_tokenizer import gguf_tokenizer

ANYTHING = Bound(kl=1e9, agreement=0.0, bits_per_byte=1e9)
IDS = [5, 9, 200, 31, 77, 3]


def read_back(student, folder, weights):
    export = Gguf(ANYTHING, weights)
    export.check(student)
    assert export.write(student, folder) == export.file
    return export.open(folder, student).runner.read(IDS)


@pytest.mark.parametrize("tied", [True, False])
def test_float32_is_the_student_exactly(sharp, tmp_path, tied):
    student = sharp(tied=tied)
    assert np.abs(read_back(student, tmp_path, "f32") - TorchRunner(student.model, 300).read(IDS)).max() < 1e-4


def test_fewer_keys_than_queries(sharp, tmp_path, tokenizer):
    from transformers import LlamaConfig, LlamaForCausalLM

    from distill.evaluation.subject import Subject

    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "vocab_size": 300}
    config = LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, head_dim=16)
    student = Subject("student", LlamaForCausalLM(config).eval(), tokenizer, 300)
    assert np.abs(read_back(student, tmp_path, "f32") - TorchRunner(student.model, 300).read(IDS)).max() < 1e-5


@pytest.mark.parametrize(("weights", "error"), [("f16", 0.002), ("q8_0", 0.02), ("q4_0", 0.25)])
def test_coarser_weights_are_near(sharp, tmp_path, weights, error):
    student = sharp()
    own = TorchRunner(student.model, 300).read(IDS)
    found = read_back(student, tmp_path, weights)
    difference = np.abs(found - own).max() / np.abs(own).max()
    assert 0 < difference < error


def test_bits_a_weight(sharp, tmp_path):
    student = sharp(width=64, vocabulary=300)
    sizes = {}
    for weights in ("f32", "f16", "q8_0", "q4_0"):
        read_back(student, tmp_path, weights)
        sizes[weights] = (tmp_path / Gguf(ANYTHING, weights).file).stat().st_size
    assert sizes["f32"] > sizes["f16"] > sizes["q8_0"] > sizes["q4_0"]


def test_rows_that_are_no_blocks_are_kept_in_half_precision(sharp, tmp_path):
    from gguf import GGUFReader

    student = sharp(width=48)  # 48 and 96: rows of 48 are no blocks of 32, rows of 96 are
    read_back(student, tmp_path, "q8_0")
    told = {one.name: one for one in GGUFReader(str(tmp_path / "model-Q8_0.gguf")).tensors}
    for name, one in told.items():
        expected = "F32" if len(one.shape) == 1 else "F16" if one.shape[0] % BLOCK else "Q8_0"
        assert one.tensor_type.name == expected, name


def test_the_tokenizer_of_the_file_cuts_text_alike(sharp, tmp_path, tokenizer):
    from transformers import AutoTokenizer

    read_back(sharp(), tmp_path, "f16")
    found = AutoTokenizer.from_pretrained(tmp_path, gguf_file="model-F16.gguf")
    for text in ("The quick brown fox 12345!", "\n\n  def f(x):\treturn", "Naïve 日本語 😀", "<|endoftext|>The", " "):
        assert found(text).input_ids == tokenizer(text).input_ids, text
    assert found.eos_token == tokenizer.eos_token
    assert len(found) == len(tokenizer)


def test_surplus_rows_are_left_out(sharp, tmp_path):
    assert read_back(sharp(vocabulary=320), tmp_path, "f32").shape == (len(IDS), 300)


def test_interleaving_is_undone_by_its_reader():
    weight = torch.arange(16.0)[:, None]  # two heads of 8
    found = interleaved(weight, 2)[:, 0].tolist()
    assert found == [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]


def test_other_architectures_are_refused(tokenizer):
    from transformers import GPT2Config, GPT2LMHeadModel

    from distill.evaluation.subject import Subject

    model = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=300))
    with pytest.raises(BadInput, match="Llama"):
        Gguf(ANYTHING).check(Subject("student", model, tokenizer, 300))


def test_a_tokenizer_whose_rules_have_no_name_there_is_refused():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE(vocab={"a": 0, "b": 1}, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(BadInput, match="Whitespace"):
        gguf_tokenizer(PreTrainedTokenizerFast(tokenizer_object=bpe), 2)


def test_rules_are_recognised_by_what_their_readers_do():
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    from distill.export.gguf_tokenizer import BY_REGEX

    for regex, name in BY_REGEX.items():
        assert GGUF_PRE_TOKENIZER_SPLITS[name] == regex


def test_llama_cpp_says_what_the_student_says(sharp, tmp_path):
    pytest.importorskip("xllamacpp", reason="llama.cpp's wheel is no dependency: pip install xllamacpp")
    student, export = sharp(), Gguf(ANYTHING, "f32")
    export.write(student, tmp_path)
    runner = TorchRunner(student.model, 300)
    prompts = [IDS[:length] for length in range(2, 6)]
    expected = []
    for prompt in prompts:
        runner.restart()
        expected.append(torch.from_numpy(runner.read(prompt)[-1]).log_softmax(-1))
    told = {one.metric: one.value for one in export.run_elsewhere(tmp_path, prompts, expected)}
    assert told["top1_agreement_in_llama_cpp"] == 1
    assert told["kl_in_llama_cpp"] < 1e-4

    own = LlamaCppRunner(tmp_path / export.file, 300)
    runner.restart()
    assert np.allclose(own.read(IDS[:3]).argmax(-1), runner.read(IDS[:3]).argmax(-1))  # every position
    assert np.abs(own.read(IDS[3:], last=True)[0] - log_softmax(runner.read(IDS[3:])[-1])).max() < 1e-2  # and on
    taken = own.taken(IDS, 3, {})
    assert taken.first > 0
    assert taken.each == [taken.each[0]] * 3


def test_llama_cpp_is_timed_in_turns_with_the_student(sharp, held_out, tmp_path):
    pytest.importorskip("xllamacpp", reason="llama.cpp's wheel is no dependency: pip install xllamacpp")
    student, export = sharp(), Gguf(ANYTHING, "q8_0")
    export.write(student, tmp_path)
    found = Recheck(memory=False, rounds=2, prompt_tokens=8, new_tokens=3)
    told = {row.metric: row for row in found.check(export, tmp_path, "file", student, held_out).file}
    assert told["decode_speedup_to_student"].n == 2
    assert told["first_token_ms"].value > 0
    assert told["threads"].value == torch.get_num_threads()
