"""A new decoder with random weights, sized by hand.

Left out on purpose: architectures that are not of the Llama family. They name these sizes differently; save such a
model's folder once and use ``pretrained``.
"""

from typing import Literal

from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from distill.errors import BadInput
from distill.folders import known_ids
from distill.models import shape
from distill.ranges import Count, Fraction
from distill.students.student import Student
from distill.types import ModelShape


class FromScratch(Student):
    """A Llama-style decoder of the given sizes with the tokenizer's vocabulary, randomly initialised.

    Args:
        layers: L, decoder layers.
        width: D, of a state; a multiple of ``heads``, with an even number of units a head (rotary positions).
        heads: H, query heads.
        kv_heads: key and value heads, a divisor of ``heads``; as many as ``heads`` if None.
        intermediate: units of the gated feed-forward; 8/3 of the width, rounded up to a multiple of 16, if None.
        tied: use the input embedding as the head: at these sizes the embedding is most of the model.
        dropout: of the attention weights, the only place where this family has one.
        architecture: transformers' model type.
        max_positions: longest sequence; positions are rotary, so it costs no weight.
        attention: ``auto`` is eager where a loss reads attention weights, fused elsewhere.

    Raises:
        BadInput: sizes that do not divide.
    """

    def __init__(
        self,
        layers: Count = 2,
        width: Count = 64,
        heads: Count = 4,
        kv_heads: Count | None = None,
        intermediate: Count | None = None,
        tied: bool = True,
        dropout: Fraction = 0.0,
        architecture: Literal["llama", "mistral", "qwen2", "qwen3"] = "llama",
        max_positions: Count = 2048,
        attention: Literal["auto", "eager"] = "auto",
    ) -> None:
        if width % heads or (width // heads) % 2:
            reason = f"{heads} heads do not share it in even parts"
            raise BadInput("student.width", reason, value=width, remedy=f"use a multiple of {2 * heads}")
        if kv_heads is not None and heads % kv_heads:
            raise BadInput("student.kv_heads", f"does not divide heads={heads}", value=kv_heads)
        self.layers, self.width, self.heads = layers, width, heads
        self.kv_heads = heads if kv_heads is None else kv_heads
        self.intermediate = -(-width * 8 // 3 // 16) * 16 if intermediate is None else intermediate
        self.tied, self.dropout = tied, dropout
        self.architecture, self.max_positions = architecture, max_positions
        self.attention = "sdpa" if attention == "auto" else attention

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        config = self._config(known_ids(tokenizer))
        config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
        model = AutoModelForCausalLM.from_config(config, attn_implementation=self.attention)
        model.generation_config.pad_token_id = tokenizer.pad_token_id
        return model.train()

    def shape(self, vocabulary: int) -> ModelShape:
        return shape(self._config(vocabulary))

    def _config(self, vocabulary: int) -> PreTrainedConfig:
        return AutoConfig.for_model(
            self.architecture,
            vocab_size=vocabulary,
            hidden_size=self.width,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            head_dim=self.width // self.heads,
            max_position_embeddings=self.max_positions,
            tie_word_embeddings=self.tied,
            attention_dropout=self.dropout,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,  # else the embedding's row of that id has no gradient, and it often is the end of text
        )
