"""A new encoder-decoder with random weights, sized by hand: for translations and whatever else is written of a source.

Left out on purpose: encoders that hear or see, and families that name these sizes differently.
"""

from typing import ClassVar, Literal

from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from distill.errors import BadInput
from distill.families import AUTO, fitted
from distill.folders import known_ids
from distill.models import shape
from distill.ranges import Count, Fraction
from distill.students.student import Student
from distill.types import Family, ModelShape


class EncoderDecoder(Student):
    """A Marian or BART of the given sizes with the tokenizer's vocabulary, randomly initialised.

    Source: Junczys-Dowmunt et al. 2018, Marian, arXiv:1804.00344; Lewis et al. 2020, BART, arXiv:1910.13461; Kasai et
        al. 2021, Deep Encoder, Shallow Decoder, arXiv:2006.10369

    Args:
        layers: of the encoder.
        decoder_layers: as many as ``layers`` if None; the decoder is run for every token that is written, the encoder
            once.
        width: D, of a state; a multiple of ``heads``.
        heads: H, of both.
        intermediate: units of the feed-forwards; four times the width if None.
        dropout: of states and attention weights.
        architecture: Marian's positions are sinusoids, BART's are learned.
        max_positions: longest source or target.
        attention: ``auto`` is eager where a loss reads attention weights, fused elsewhere.

    Raises:
        BadInput: sizes that do not divide.
    """

    families: ClassVar[frozenset[Family]] = frozenset({"seq2seq"})

    def __init__(
        self,
        layers: Count = 2,
        decoder_layers: Count | None = None,
        width: Count = 64,
        heads: Count = 4,
        intermediate: Count | None = None,
        dropout: Fraction = 0.0,
        architecture: Literal["marian", "bart"] = "marian",
        max_positions: Count = 256,
        attention: Literal["auto", "eager"] = "auto",
    ) -> None:
        if width % heads:
            reason = f"{heads} heads do not share it in equal parts"
            raise BadInput("student.width", reason, value=width, remedy=f"use a multiple of {heads}")
        self.layers, self.width, self.heads = layers, width, heads
        self.decoder_layers = layers if decoder_layers is None else decoder_layers
        self.intermediate = 4 * width if intermediate is None else intermediate
        self.dropout, self.architecture, self.max_positions = dropout, architecture, max_positions
        self.attention = "sdpa" if attention == "auto" else attention

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        config = self._config(known_ids(tokenizer))
        config.eos_token_id = tokenizer.eos_token_id
        model = AUTO[self.task.family].from_config(config, attn_implementation=self.attention)
        return model.train()

    def shape(self, vocabulary: int) -> ModelShape:
        return shape(self._config(vocabulary), self.task.family)

    def _config(self, vocabulary: int) -> PreTrainedConfig:
        told = AutoConfig.for_model(
            self.architecture,
            vocab_size=vocabulary,
            decoder_vocab_size=vocabulary,
            d_model=self.width,
            encoder_layers=self.layers,
            decoder_layers=self.decoder_layers,
            encoder_attention_heads=self.heads,
            decoder_attention_heads=self.heads,
            encoder_ffn_dim=self.intermediate,
            decoder_ffn_dim=self.intermediate,
            dropout=self.dropout,
            attention_dropout=self.dropout,
            activation_function="gelu",
            max_position_embeddings=self.max_positions,
            scale_embedding=True,
            init_std=self.width**-0.5,  # 0.02, made for 512 and more, leaves a narrow one without attention for long
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,  # else the embedding's row of that id has no gradient, and it often is the end of text
            forced_eos_token_id=None,
            decoder_start_token_id=0,  # the data knows better, once it is read
        )
        return fitted(told, self.task)
