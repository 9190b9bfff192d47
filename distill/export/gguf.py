"""A Llama-family student as one GGUF file, written by the official ``gguf`` package, for llama.cpp and all around it.

Norms stay in float32. A matrix whose rows are no multiple of a block (32) is kept in float16 where the others are
quantised, as llama.cpp does. In a Q4_0 file the embedding and the head are Q8_0 (llama.cpp: Q6_K, which the package
cannot write): four bits there cost small models most.

Left out on purpose: K-quants, which the package cannot write, and other architectures: each has a layout of its own.
"""

from collections.abc import Sequence
from contextlib import redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from distill.errors import BadInput
from distill.evaluation.measure import Measured
from distill.evaluation.subject import Subject
from distill.export.export import Bound, Export, Opened
from distill.export.llama_cpp import LlamaCppRunner, asked, installed
from distill.export.torch_runner import TorchRunner
from distill.models import token_embedding
from distill.wheels import quiet

BLOCK = 32
"""Weights that share a scale in Q8_0 and Q4_0."""
NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Of a layer's modules, in llama.cpp."""


class Gguf(Export):
    """One GGUF file for llama.cpp: float32, float16, Q8_0 or Q4_0, own byte-level BPE tokenizers included.

    Args:
        bound: of the re-check, which reads the file with transformers' loader; where xllamacpp is installed, the
            likeliest tokens and the speeds are llama.cpp's own.
        weights: of the matrices.
    """

    format: ClassVar[str] = "gguf"

    def __init__(self, bound: Bound, weights: Literal["f32", "f16", "q8_0", "q4_0"] = "f16") -> None:
        self.bound, self.weights = bound, weights

    @property
    def label(self) -> str:
        return f"gguf-{self.weights}"

    @property
    def file(self) -> str:
        return f"model-{self.weights.upper()}.gguf"

    def check(self, student: Subject) -> None:
        if missing := [name for name in ("gguf", "accelerate") if find_spec(name) is None]:
            reason = f"needs {' and '.join(missing)}"
            raise BadInput("export", reason, value=self.label, remedy="pip install 'distill-lab[gguf]'")
        from distill.export.gguf_tokenizer import gguf_tokenizer

        config: Any = student.model.config
        rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
        if config.model_type != "llama" or config.attention_bias or config.mlp_bias or rope != "default":
            reason = "only plain Llama models are written (no biases, no scaled rotary positions)"
            raise BadInput("export", reason, value=config.model_type, remedy="use export=onnx or export=huggingface")
        gguf_tokenizer(student.tokenizer, student.vocabulary)

    def write(self, student: Subject, folder: Path) -> str:
        from gguf import GGUFWriter

        writer = GGUFWriter(str(folder / self.file), "llama")
        _describe(writer, student, self.weights)
        _spell(writer, student)
        for name, tensor in _tensors(student):
            self._add(writer, name, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return self.file

    def open(self, folder: Path, student: Subject) -> Opened:
        with redirect_stderr(StringIO()), quiet():  # its reader's bar cannot be switched off
            model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=self.file, dtype=torch.float32)
        how = "transformers' GGUF reader, weights widened to float32"
        if installed():
            how += "; likeliest tokens and speeds by llama.cpp (xllamacpp)"
        clock = LlamaCppRunner(folder / self.file, student.vocabulary, torch.get_num_threads()) if installed() else None
        return Opened(TorchRunner(model, student.vocabulary), how, clock)

    def run_elsewhere(
        self, folder: Path, prompts: Sequence[Sequence[int]], expected: Sequence[Tensor]
    ) -> list[Measured]:
        return asked(folder / self.file, prompts, expected, torch.get_num_threads()) if installed() else []

    def usage(self, file: str) -> str:
        return f'```sh\nllama-cli -m {file} -p "Once upon a time" -n 40\n```'

    def _add(self, writer: Any, name: str, tensor: Tensor) -> None:
        from gguf import GGMLQuantizationType as Kind
        from gguf import quantize

        data: np.ndarray = tensor.detach().float().cpu().numpy()
        kind = Kind[self.weights.upper()]
        if kind == Kind.Q4_0 and name in ("token_embd.weight", "output.weight"):
            kind = Kind.Q8_0
        if data.ndim == 1:
            kind = Kind.F32
        elif kind in (Kind.Q8_0, Kind.Q4_0) and data.shape[-1] % BLOCK:
            kind = Kind.F16
        writer.add_tensor(name, quantize(data, kind), raw_dtype=kind)


def _describe(writer: Any, student: Subject, weights: str) -> None:
    from gguf import LlamaFileType

    config: Any = student.model.config
    kinds = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0", "q4_0": "MOSTLY_Q4_0"}
    writer.add_name(student.name)
    writer.add_file_type(LlamaFileType[kinds[weights]])
    writer.add_quantization_version(2)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(student.vocabulary)


def _spell(writer: Any, student: Subject) -> None:
    from distill.export.gguf_tokenizer import gguf_tokenizer

    tokenizer = student.tokenizer
    told = gguf_tokenizer(tokenizer, student.vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(told.pre)
    writer.add_token_list(told.tokens)
    writer.add_token_types(told.types)
    writer.add_token_merges(told.merges)
    for number, add in (
        (tokenizer.bos_token_id, writer.add_bos_token_id),
        (tokenizer.eos_token_id, writer.add_eos_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id),
    ):
        if isinstance(number, int):
            add(number)
    writer.add_add_bos_token(told.add_bos)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)


def _tensors(student: Subject) -> list[tuple[str, Tensor]]:
    """llama.cpp's names and the weights; embedding and head cut to the ids that mean something."""
    model, rows = student.model, student.vocabulary
    config: Any = model.config
    embedding, output = token_embedding(model), model.get_output_embeddings()
    found = [("token_embd.weight", embedding[:rows]), ("output_norm.weight", _weight(model, "norm"))]
    if output is not None and output.weight is not embedding:
        assert isinstance(output.weight, Tensor)
        found.append(("output.weight", output.weight[:rows]))
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for layer in range(config.num_hidden_layers):
        for module, name in NAMES.items():
            weight = _weight(model, f"layers.{layer}.{module}")
            weight = interleaved(weight, heads[name]) if name in heads else weight
            found.append((f"blk.{layer}.{name}.weight", weight))
    return found


def _weight(model: PreTrainedModel, path: str) -> Tensor:
    weight = model.base_model.get_submodule(path).weight
    assert isinstance(weight, Tensor)
    return weight


def interleaved(weight: Tensor, heads: int) -> Tensor:
    """(H · d, D) rows in the order in which llama.cpp turns pairs: (0, d/2, 1, d/2 + 1, …) within each head.

    transformers pairs dimension i of a head with i + d/2, llama.cpp's Llama pairs 2i with 2i + 1.
    """
    parts = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return parts.transpose(1, 2).reshape(weight.shape)
